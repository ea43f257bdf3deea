package owner

import (
	"runtime"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// After a series was deleted:
//
//  1. The place appends the gone record of the series; without room, as soon as there is
//     room, and publishes no new series before.
//  2. The place asks the runtime to tell when no pointer leads to the instrument any
//     more: a program may hold the instrument, and count into cells that no reader shows.
//  3. Then the cells rest for a minute, and are free for other series.
//
// SIGKILL between two steps leaves cells without a series in the file of a dead process.
// SIGKILL before step 1 leaves the series: it counts as not deleted.

// restFor is longer than any scrape may take. A reader that was stopped for
// longer looks at the log again before the reader believes the loaded values.
const restFor = time.Minute

// Depart implements place.Place.
func (p *Place) Depart(s *instrument.Series) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record(s)
}

// record is step 1, unless the record of a new series did step 1 already. mu is held.
func (p *Place) record(s *instrument.Series) {
	home := s.Place.Home.Load()
	if home == nil {
		return // the series was in memory only
	}
	if s.Place.Recorded || len(p.owed) == 0 && home.AppendGone(s.Place.Run, time.Now().UnixNano()) {
		p.leaving = append(p.leaving, s)
		return
	}
	p.owed = append(p.owed, s)
}

// repay appends the gone records for which there was no room. repay reports whether
// no record is owed any more. mu is held.
func (p *Place) repay() bool {
	for n, s := range p.owed {
		if !s.Place.Home.Load().AppendGone(s.Place.Run, time.Now().UnixNano()) {
			p.owed = p.owed[n:]
			return false
		}
		p.leaving = append(p.leaving, s)
	}
	p.owed = nil
	return true
}

// forgetGone takes deleted series out of those that wait for room.
func (p *Place) forgetGone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending.forgetGone()
}

// freedRun is the argument of a cleanup: no pointer in it may lead to the instrument.
type freedRun struct {
	home *ownerfile.File
	run  ownerfile.Run
}

// release is step 2, for the series whose gone record is in the log. A cleanup takes
// time to make, so release runs where no new series waits.
func (p *Place) release() {
	p.mu.Lock()
	p.repay()
	p.noteShares()
	done := p.leaving
	p.leaving = nil
	p.mu.Unlock()
	for _, s := range done {
		runtime.AddCleanup(s, func(f freedRun) { f.home.Free(f.run) }, freedRun{s.Place.Home.Load(), s.Place.Run})
	}
}
