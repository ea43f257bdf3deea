package owner

import "fmt"

// state is what a Place has: which file there is, and whether readers find the file.
//
// The table says which state follows after an event; "-" is an event that cannot happen.
// TestStates compares the table with the transitions below, and walks them.
//
//	state     | opened    | lost   | renewed   | slabMoved | forked    | closing
//	absent    | published | -      | -         | -         | inherited | closed
//	published | -         | moving | -         | abandoned | inherited | closed
//	moving    | -         | moving | published | -         | inherited | closed
//	abandoned | -         | -      | -         | -         | inherited | closed
//	inherited | -         | -      | -         | -         | -         | closed
//	closed    | -         | -      | -         | -         | -         | -
type state uint32

const (
	// absent: there is no file, and the background work tries to make one. Series count
	// on the heap.
	absent state = iota
	// published: readers find the file, and new series go there.
	published
	// moving: the file is missing, cut, or out of numbers. New series count on the heap until
	// all series are in a new file.
	moving
	// abandoned: bbolt moved a slab. Series count on the heap for good.
	abandoned
	// inherited: this process was forked without exec, and the file belongs to its
	// parent. Series count on the heap for good.
	inherited
	// closed: the place was left.
	closed
)

// event is what changes a state.
type event uint32

const (
	// opened: a first file was published.
	opened event = iota
	// lost: the file is missing, was cut, or has no more numbers for series; or the new file
	// went missing again while series moved.
	lost
	// renewed: the new file was published in the place of the lost file.
	renewed
	// slabMoved: a slab is no longer where it was mapped.
	slabMoved
	// forked: the pid is not the pid of the process that opened the place.
	forked
	// closing: Close is done with the place.
	closing
)

var (
	stateNames = [...]string{"absent", "published", "moving", "abandoned", "inherited", "closed"}
	eventNames = [...]string{"opened", "lost", "renewed", "slabMoved", "forked", "closing"}
)

func (s state) String() string { return stateNames[s] }
func (e event) String() string { return eventNames[e] }

var transitions = [len(stateNames)]map[event]state{
	absent:    {opened: published, forked: inherited, closing: closed},
	published: {lost: moving, slabMoved: abandoned, forked: inherited, closing: closed},
	moving:    {lost: moving, renewed: published, forked: inherited, closing: closed},
	abandoned: {forked: inherited, closing: closed},
	inherited: {closing: closed},
}

// currentState returns the state. It takes no lock.
func (p *Place) currentState() state { return state(p.state.Load()) }

// enterState enters the state that follows after an event. maintaining is held.
func (p *Place) enterState(e event) {
	now := p.currentState()
	next, possible := transitions[now][e]
	if !possible {
		panic(fmt.Errorf("mpmetrics: bug: place is %v and meets %v", now, e))
	}
	p.state.Store(uint32(next))
}
