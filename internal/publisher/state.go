package publisher

import "fmt"

// state is what the server knows of the partition of a process.
//
// The table says which state follows after an event. TestStates compares the table with the
// transitions below, and walks them.
//
//	state      | answered  | absorbed | lost
//	first      | published | resuming | restarting
//	published  | published | resuming | restarting
//	resuming   | published | resuming | restarting
//	restarting | published | resuming | restarting
type state uint8

const (
	// first: the server has answered no update of this process. The next update starts the
	// first partition.
	first state = iota
	// published: the server has the header of the partition.
	published
	// resuming: the partition before was absorbed. The next update starts another partition,
	// whose base are the absorbed values.
	resuming
	// restarting: the server lost the partition, or a part of the partition. The next update
	// starts the partition again, or an earlier partition that is no longer absorbed.
	restarting
)

// event is what changes a state.
type event uint8

const (
	// answered: the server has written an update that starts a partition.
	answered event = iota
	// absorbed: the archive holds the partition.
	absorbed
	// lost: the server knows less of the partition than it answered before.
	lost
)

var (
	stateNames = [...]string{"first", "published", "resuming", "restarting"}
	eventNames = [...]string{"answered", "absorbed", "lost"}
)

func (s state) String() string { return stateNames[s] }
func (e event) String() string { return eventNames[e] }

var transitions = [len(stateNames)]map[event]state{
	first:      {answered: published, absorbed: resuming, lost: restarting},
	published:  {answered: published, absorbed: resuming, lost: restarting},
	resuming:   {answered: published, absorbed: resuming, lost: restarting},
	restarting: {answered: published, absorbed: resuming, lost: restarting},
}

// enterState enters the state that follows after an event. flushing is held.
func (p *Publisher) enterState(e event) {
	next, possible := transitions[p.state][e]
	if !possible {
		panic(fmt.Errorf("mpmetrics: bug: partition is %v and meets %v", p.state, e))
	}
	p.state = next
}
