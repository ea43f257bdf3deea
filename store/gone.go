package store

import (
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/partition"
)

// A vec does not say when a series is deleted from it. It is noticed
//
//   - when a series with the same label values is made: the record that the earlier
//     one is gone is appended in front of the new one, at once
//   - by a look at the children of each vec, once a second: those that are known and
//     not among them are gone
//
// What becomes of it:
//
//  1. it is living no more, gives its place below MaxSeries back, and will not be
//     published, or moved, from now on
//  2. its gone record is appended; without room, as soon as there is some, and no
//     new series is published before
//  3. the runtime is asked to say when nobody can update it any more: a program may
//     hold on to it, and counts into cells that nobody shows
//  4. then its cells rest for a minute, and are room for others
//
// A SIGKILL between two steps leaves cells that nobody uses in the file of a dead
// process, and before 2 the series itself: it counts as one that was not deleted.

// clock is a variable for the tests.
var clock = time.Now

const (
	// restFor is longer than any scrape may take. A reader that is stopped for
	// longer looks at the log again before it believes what it loaded.
	restFor = time.Minute

	// sweepShare bounds the time for looking at a vec: one part in so many.
	sweepShare = 20
	// sweepAtLeast is how often a vec is looked at however long that takes.
	sweepAtLeast = 10 * time.Second
	// sweepChunk is how many series are looked at under one lock of mu, which
	// new series wait for.
	sweepChunk = 256
)

// depart is step 1. mu is held.
func (s *Store) depart(b *series) {
	b.family.living.remove(b)
	b.gone.Store(true)
	if b.counted {
		s.series.Add(-1)
		b.counted = false
	}
}

// record is step 2, unless it was done with the record of a new series. mu is held.
func (s *Store) record(b *series) {
	home := b.home.Load()
	if home == nil {
		return // it was in memory only
	}
	if b.recorded || len(s.owed) == 0 && home.AppendGone(b.run, time.Now().UnixNano()) {
		s.leaving = append(s.leaving, b)
		return
	}
	s.owed = append(s.owed, b)
}

// repay appends the gone records for which there was no room. It reports whether
// none is owed any more. mu is held.
func (s *Store) repay() bool {
	for n, b := range s.owed {
		if !b.home.Load().AppendGone(b.run, time.Now().UnixNano()) {
			s.owed = s.owed[n:]
			return false
		}
		s.leaving = append(s.leaving, b)
	}
	s.owed = nil
	return true
}

// freedRun is what a cleanup is given: it must not lead back to the instrument.
type freedRun struct {
	home *partition.Partition
	run  partition.Run
}

// release is step 3, for the series whose gone record is in the log. A cleanup takes
// time to make, and is not made where new series wait.
func (s *Store) release() {
	s.mu.Lock()
	s.repay()
	done := s.leaving
	s.leaving = nil
	s.mu.Unlock()
	for _, b := range done {
		runtime.AddCleanup(b, func(f freedRun) { f.home.Free(f.run) }, freedRun{b.home.Load(), b.run})
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
	s.mu.Lock()
	s.pending = slices.DeleteFunc(s.pending, func(i instrument) bool { return i.base().gone.Load() })
	s.mu.Unlock()
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
				s.depart(b)
				s.record(b)
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
