package instrument

import "time"

// A vec does not say when a series is deleted. A deletion is noticed
//
//   - when a series with the same label values is made: the place is given both series
//     at once, because no reader may see both
//   - by a sweep over the children of each vec, once a second: a known series that is
//     not among the children is gone
//
// Then:
//
//  1. The catalog takes the series out of the children, gives its place below the limit
//     back, and marks the series as gone. From now on no place publishes the series.
//  2. The place is told, and hides a gauge from all readers. Of a cumulative series a
//     share may stay: see rest.go.

const (
	// sweepShare bounds the time for sweeping a vec: one part in so many.
	sweepShare = 20
	// sweepAtLeast is the longest time between two sweeps of a vec.
	sweepAtLeast = 10 * time.Second
	// sweepChunk is how many series are checked under one hold of the lock, for which
	// new series wait.
	sweepChunk = 256
)

// markGone is step 1. mu is held.
func (c *Catalog) markGone(s *Series) {
	if s.Family.Single == nil {
		s.Family.children.remove(s)
	}
	s.gone.Store(true)
	c.left = true
	if s.counted {
		c.published.Add(-1)
		s.counted = false
	}
	c.waitNoMore(s)
}

// Sweep finds the series that were deleted from their vecs: in the vecs that are due, or
// in all. The series beyond the limit take the places that are free. One goroutine sweeps at a time.
func (c *Catalog) Sweep(all bool) {
	for _, f := range c.Families() {
		if start := time.Now(); f.Single == nil && !f.Mirrored && (all || !start.Before(f.due)) {
			c.sweepFamily(f)
			end := time.Now()
			f.due = end.Add(min(end.Sub(start)*sweepShare, sweepAtLeast))
		}
	}
	c.admit()
	c.mu.Lock()
	left := c.left
	c.left = false
	c.mu.Unlock()
	if left {
		c.exemplars.forgetGone() // a flush does so too, but a degraded store does not flush
	}
}

// sweepFamily checks one vec. A child that was made before the sweep began exists; if the
// vec has as many such children as the catalog, no child was deleted.
func (c *Catalog) sweepFamily(f *Family) {
	c.mu.Lock()
	born, n := c.born, len(f.children.all)
	c.mu.Unlock()
	if n == 0 {
		return
	}
	f.sweeps++
	there := 0
	f.Instruments(func(i Instrument) {
		s := i.Base()
		s.seen = f.sweeps
		if s.born <= born {
			there++
		}
	})
	if there == n {
		return
	}
	for at := n; at > 0; at -= sweepChunk {
		c.mu.Lock()
		all := f.children.all
		for i := min(at, len(all)) - 1; i >= max(0, at-sweepChunk); i-- {
			if s := f.children.all[i]; s.seen != f.sweeps && s.born <= born {
				c.leave(s.self, true)
			}
		}
		c.mu.Unlock()
	}
}
