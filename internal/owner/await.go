package owner

import (
	"time"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

// A burst of new series can overtake the background work, which makes room. A series in memory is lost
// if the process is killed, so the goroutine that makes the series waits for room:
//
//  1. The goroutine has asked for room, holds the lock of the vec alone, and waits for the end of a
//     turn of the background work, until the series is published.
//  2. A turn that cannot make room ends the wait: series wait in memory until there is room.
//  3. After fifty pauses the wait ends without a result, because the file system may be stuck. No other
//     series waits until a turn of the background work has ended.
//
// Updates of series that exist need no lock of a vec, and go on.

// The wait is bounded by so many pauses. Room is made in a fraction of a millisecond; what takes
// longer is the wait for a core. A process that waits for a core itself spends one pause at most, while
// a clock would say that the time is over.
const (
	pause  = 2 * time.Millisecond
	pauses = 50
)

// Await implements place.Place.
func (p *Place) Await(s *instrument.Series) {
	if s.Place.Home.Load() != nil {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for left := pauses; ; {
		turn, worth := p.nextTurn(s)
		if !worth {
			return
		}
		select {
		case <-turn:
		case <-p.stop:
			return
		case <-timer.C:
			left--
			if left == 0 {
				p.doubt(turn)
				return
			}
			timer.Reset(pause)
		}
	}
}

// nextTurn returns what is closed at the end of the next turn, and whether a wait is worth it: the
// series has no room yet, and the background work can make room.
func (p *Place) nextTurn(s *instrument.Series) (turn <-chan struct{}, worth bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.turn, s.Place.Home.Load() == nil && !s.Gone() && p.part.Load() != nil && p.why == nil && !p.stuck
}

// doubt notes that a series has waited in vain for the end of a turn.
func (p *Place) doubt(turn <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stuck = p.stuck || turn == p.turn
}

// turned ends a turn: all goroutines that wait for room look again.
func (p *Place) turned() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.turn)
	p.turn, p.stuck = make(chan struct{}), false
}
