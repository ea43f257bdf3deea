package store

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A vec does not say when a series is deleted from it. It is noticed
//
//   - when a series with the same label values is made: the backend is given both at
//     once, since nobody may see both
//   - by a look at the children of each vec, once a second: those that are known and
//     not among them are gone
//
// What becomes of it:
//
//  1. it is living no more, gives its place below MaxSeries back, and no backend shows it
//     from now on where it was not shown before
//  2. the backend is told, and sees to it that nobody sees it any more

// clock is a variable for the tests.
var clock = time.Now

const (
	// sweepShare bounds the time for looking at a vec: one part in so many.
	sweepShare = 20
	// sweepAtLeast is how often a vec is looked at however long that takes.
	sweepAtLeast = 10 * time.Second
	// sweepChunk is how many series are looked at under one lock of mu, which
	// new series wait for.
	sweepChunk = 256
)

// markGone is step 1. mu is held.
func (s *Store) markGone(b *series) {
	b.family.living.remove(b)
	b.gone.Store(true)
	if b.counted {
		s.series.Add(-1)
		b.counted = false
	}
}

// sweep finds the series that were deleted from their vecs, in those vecs that are
// due, or in all.
func (s *Store) sweep(all bool) {
	for _, f := range s.definitions() {
		if start := time.Now(); f.single == nil && !f.mirrored && (all || !start.Before(f.due)) {
			s.sweepFamily(f)
			end := time.Now()
			f.due = end.Add(min(end.Sub(start)*sweepShare, sweepAtLeast))
		}
	}
}

// sweepFamily looks at one vec. A child that was made before the look began is
// living; if the vec has as many, none was deleted.
func (s *Store) sweepFamily(f *family) {
	s.mu.Lock()
	born, n := s.born, len(f.living.all)
	s.mu.Unlock()
	if n == 0 {
		return
	}
	f.sweeps++
	there := 0
	f.children(func(i instrument) {
		b := i.base()
		b.seen = f.sweeps
		if b.born <= born {
			there++
		}
	})
	if there == n {
		return
	}
	for at := n; at > 0; at -= sweepChunk {
		s.mu.Lock()
		all := f.living.all
		for i := min(at, len(all)) - 1; i >= max(0, at-sweepChunk); i-- {
			if b := f.living.all[i]; b.seen != f.sweeps && b.born <= born {
				s.markGone(b)
				s.backend.depart(b)
			}
		}
		s.mu.Unlock()
	}
}

// children calls do for every instrument of a family. The lock of a vec is held
// meanwhile: do must neither wait nor take a lock.
func (f *family) children(do func(instrument)) {
	metrics := make(chan prometheus.Metric, 128)
	go func() {
		defer close(metrics)
		f.collector.Collect(metrics)
	}()
	for m := range metrics {
		do(m.(instrument))
	}
}
