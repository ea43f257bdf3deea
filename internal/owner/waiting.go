package owner

import (
	"slices"
	"sort"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

// waiting are the instruments on the heap that wait for room in the file, in the order in which
// they began to wait. A degraded store may have very many, so that each has a number, by which its
// place in the queue is found.
type waiting struct {
	queue []waiter // by number
	last  uint64
}

type waiter struct {
	number uint64 // Series.Place.Waits; 0 is no number
	instrument.Instrument
}

func (w *waiting) len() int { return len(w.queue) }

// add lets an instrument wait.
func (w *waiting) add(i instrument.Instrument) {
	w.last++
	i.Base().Place.Waits = w.last
	w.queue = append(w.queue, waiter{w.last, i})
}

// first returns the instrument that has waited the longest.
func (w *waiting) first() instrument.Instrument { return w.queue[0].Instrument }

// take takes the first instrument out.
func (w *waiting) take() instrument.Instrument {
	first := w.queue[0]
	first.Base().Place.Waits = 0
	w.queue[0] = waiter{}
	w.queue = w.queue[1:]
	return first.Instrument
}

// find returns the place of an instrument in the queue, -1 if the instrument does not wait.
func (w *waiting) find(s *instrument.Series) int {
	number := s.Place.Waits
	at := sort.Search(len(w.queue), func(i int) bool { return w.queue[i].number >= number })
	if number == 0 || at == len(w.queue) || w.queue[at].number != number {
		return -1
	}
	return at
}

// replace lets another instrument wait at a place of the queue.
func (w *waiting) replace(at int, to instrument.Instrument) {
	from := w.queue[at].Base()
	from.Place.Waits, to.Base().Place.Waits = 0, from.Place.Waits
	w.queue[at].Instrument = to
}

// forgetGone takes the deleted series out.
func (w *waiting) forgetGone() {
	w.queue = slices.DeleteFunc(w.queue, func(i waiter) bool {
		if i.Base().Gone() {
			i.Base().Place.Waits = 0
			return true
		}
		return false
	})
}
