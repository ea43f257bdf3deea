package owner

import (
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/place"
)

// A process that was forked without exec leaves the files to its parent:
//
//  1. Until the first slow step of the forked process, increments of counters and gauges that exist
//     reach the file of the parent, and count for the parent.
//  2. The first new series, or the first observation, finds out. From then on the memory of the
//     counters is private, no reader sees any count, and the files are closed: the lock of the
//     parent ends with the parent.
//  3. If the background work runs at all, the instruments move to the heap.

// LeaveToParent implements fork.Leaver. LeaveToParent is step 2.
func (p *Place) LeaveToParent() {
	if !fork.Foreign(p.pid) {
		return // the forked process opened the place
	}
	p.part.Store(nil)
	if p.maintaining.TryLock() { // otherwise a thread of the parent was at work during the fork
		_ = p.closeFiles() // an error leaves the file locked by this process too
		p.maintaining.Unlock()
	}
	if p.speaks {
		place.SayForked(p.Where())
	}
}

// disown is step 3. maintaining is held.
func (p *Place) disown() error {
	p.part.Store(nil)
	p.catalog.Each(instrument.Instrument.Leave)
	err := p.closeFiles()
	p.mu.Lock()
	p.pending, p.owed, p.leaving, p.shares = waiting{}, nil, nil, nil // the parent publishes and releases its own
	p.mu.Unlock()
	return err
}
