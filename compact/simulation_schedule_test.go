package compact

import (
	"cmp"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// errCrashed is what every call of a crashed actor returns: nothing of it has an
// effect any more.
var errCrashed = errors.New("crashed")

// actor is one of those who take turns. It is a coroutine: exactly one runs at a
// time, from one point to the next, so nothing in the simulation needs a lock
// and a schedule says all there is to say about what happens.
type actor struct {
	name    string
	steps   int
	ended   bool
	crashed bool
	at      string // the point that it waits at
	seen    digest // all that it was told so far: what it does next follows from that
	twin    *actor // does the same and begins first; nil: nobody
	*coroutine
}

// coroutine lives one life after the other: making one costs more than a whole
// schedule does, and the race detector never gives its memory back.
type coroutine struct {
	next  func() (atPoint, ok bool)
	yield func(atPoint bool) bool
	life  func()
}

func newCoroutine() (c *coroutine, stop func()) {
	c = &coroutine{}
	c.next, stop = iter.Pull(func(yield func(bool) bool) {
		c.yield = yield
		for yield(false) {
			c.life()
		}
	})
	c.next()
	return c, stop
}

// troupe are the coroutines of a simulation.
type troupe []*coroutine

func newTroupe(t testing.TB) troupe {
	var all troupe
	for range maxActors {
		c, stop := newCoroutine()
		t.Cleanup(stop)
		all = append(all, c)
	}
	return all
}

// maxActors are an owner, two compactors, a scraper, the clock and a person.
const maxActors = 6

// resume lets the actor go on to its next point or its end.
func (a *actor) resume() {
	atPoint, _ := a.next()
	a.ended = !atPoint
}

// point is in front of every effect: whoever goes on next is decided here. The
// first one is passed at once, since somebody has just decided that.
func (a *actor) point(at string) error {
	if a.coroutine != nil && !a.crashed && a.steps > 0 {
		a.at = at
		a.yield(true)
	}
	a.steps++
	if a.crashed {
		return errCrashed
	}
	a.seen.add(1)
	return nil
}

// digest tells states apart: 64 bits are enough for some millions of them.
type digest uint64

func (d *digest) add(values ...uint64) {
	for _, v := range values {
		h := (uint64(*d) ^ v) * 0x9e3779b97f4a7c15
		*d = digest(h ^ h>>29)
	}
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// move is what may happen next: an actor does its next step, or crashes instead.
type move struct {
	*actor
	crash bool
}

// chooser decides. current is the actor that did the last step, or nil if that
// has ended: to take another one although it could go on is a preemption. false
// cuts the schedule off.
type chooser interface {
	choose(s *schedule, current *actor, moves []move) (move, bool)
}

// schedule runs actors to their ends.
type schedule struct {
	memory *memory
	actors []*actor
	steps  []step // what happened, for the report
}

// step is a move that was made.
type step struct {
	actor, at string
	crash     bool
}

// run reports false when it was cut off.
func (s *schedule) run(c chooser) bool {
	var current *actor
	var moves []move
	for {
		if moves = s.moves(moves[:0], current); len(moves) == 0 {
			return true
		}
		m, ok := c.choose(s, current, moves)
		if !ok {
			s.cutOff()
			return false
		}
		s.steps = append(s.steps, step{actor: m.name, at: m.at, crash: m.crash})
		if m.crash {
			m.crashed = true
			s.memory.release(m.actor)
		}
		m.resume()
		switch {
		case !m.ended:
			current = m.actor
		case m.actor == current || !m.crash:
			current = nil
		}
	}
}

// cutOff ends everybody.
func (s *schedule) cutOff() {
	for _, a := range s.actors {
		if a.steps > 0 && !a.ended {
			a.crashed = true
			a.resume()
		}
	}
}

// join adds an actor.
func (s *schedule) join(c *coroutine, name string, life func(*actor)) *actor {
	a := &actor{name: name, coroutine: c}
	s.actors = append(s.actors, a)
	c.life = func() { life(a) }
	return a
}

// moves are all that make a difference: a crash does so for the actor whose turn
// it would be, and for the holder of the lock when another one wants it. Of two
// that do the same, the first begins first.
func (s *schedule) moves(moves []move, current *actor) []move {
	if current != nil {
		moves = append(moves, move{actor: current})
	}
	for _, a := range s.actors {
		if waits := a.twin != nil && a.twin.steps == 0; a != current && !a.ended && !waits {
			moves = append(moves, move{actor: a})
		}
	}
	if h := s.memory.holder(); h != nil && (current == nil || current == h || current.at == "lock") {
		moves = append(moves, move{h, true})
	}
	return moves
}

// state is what everything that comes follows from, but for the choices.
func (s *schedule) state(current *actor) digest {
	d := s.memory.state()
	for _, a := range s.actors {
		d.add(uint64(a.seen), bit(a.ended), bit(a == current))
	}
	return d
}

// String is the schedule that was run, the steps that an actor did one after the
// other in one line.
func (s *schedule) String() string {
	var b strings.Builder
	last := ""
	for _, step := range s.steps {
		if step.actor != last {
			b.WriteString("\n\t" + step.actor + ":")
			last = step.actor
		}
		if step.crash {
			b.WriteString(" CRASH before")
		}
		b.WriteString(" " + cmp.Or(step.at, "begin") + ";")
	}
	return b.String()
}

// explorer goes through all schedules with so many preemptions and crashes,
// depth first. One that comes to a state in which another one has been before,
// with as much left to spend, is cut off: all that could follow has followed.
type explorer struct {
	preemptions, crashes int
	visited              map[digest]struct{} // nil: no schedule is cut off
	path                 []branch
	depth                int // in path, of the schedule that runs
	preempted, crashed   int // likewise
}

type branch struct{ taken, of int }

func (e *explorer) choose(s *schedule, current *actor, moves []move) (move, bool) {
	moves = slices.DeleteFunc(moves, func(m move) bool {
		return m.crash && e.crashed == e.crashes || !m.crash && current != nil && m.actor != current && e.preempted == e.preemptions
	})
	if e.depth == len(e.path) {
		if e.visited != nil {
			here := s.state(current)
			here.add(uint64(e.preempted), uint64(e.crashed))
			if _, known := e.visited[here]; known {
				return move{}, false
			}
			e.visited[here] = struct{}{}
		}
		e.path = append(e.path, branch{0, len(moves)})
	}
	m := moves[e.path[e.depth].taken]
	e.depth++
	switch {
	case m.crash:
		e.crashed++
	case current != nil && m.actor != current:
		e.preempted++
	}
	return m, true
}

// next goes to the next schedule, and reports whether there is one.
func (e *explorer) next() bool {
	e.depth, e.preempted, e.crashed = 0, 0, 0
	for n := len(e.path) - 1; n >= 0; n-- {
		if b := &e.path[n]; b.taken+1 < b.of {
			b.taken++
			e.path = e.path[:n+1]
			return true
		}
	}
	return false
}

// gambler decides at random.
type gambler struct {
	*rand.Rand
	stay    float64 // how probable it is that an actor goes on
	crash   float64 // how probable a crash is in each step that can be one
	sleeper int     // one of the actors, which stops after some steps until all others have ended
	after   int
}

func newGambler(r *rand.Rand, crashes bool) *gambler {
	g := &gambler{Rand: r, stay: []float64{0, 0.5, 0.8, 0.95}[r.IntN(4)], sleeper: r.IntN(maxActors), after: r.IntN(50)}
	if crashes {
		g.crash = 0.05
	}
	return g
}

func (g *gambler) choose(s *schedule, current *actor, moves []move) (move, bool) {
	last := len(moves) - 1
	if moves[last].crash {
		if g.Float64() < g.crash {
			return moves[last], true
		}
		moves = moves[:last]
	}
	if g.sleeper < len(s.actors) && len(moves) > 1 {
		sleeper := s.actors[g.sleeper]
		if sleeper.steps > g.after {
			moves = slices.DeleteFunc(moves, func(m move) bool { return m.actor == sleeper })
		}
	}
	if moves[0].actor == current && g.Float64() < g.stay {
		return moves[0], true
	}
	return moves[g.IntN(len(moves))], true
}
