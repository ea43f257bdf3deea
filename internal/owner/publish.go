package owner

import (
	"sync/atomic"

	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// Shows implements place.Place.
func (p *Place) Shows(s *instrument.Series) bool { return s.Place.Home.Load() != nil }

// Enter publishes a new series if there is room, and otherwise lets the series wait. A
// reader sees an earlier series leave before the reader sees the new series.
func (p *Place) Enter(i instrument.Instrument, earlier *instrument.Series) {
	fork.Notice()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.publishNew(i, earlier) {
		return
	}
	if !i.Base().Beyond() {
		i.Keep()
	}
	p.wait(i)
}

// Hand implements place.Place. While the series moves into another file, the heir waits on the heap
// for the new file, like a new series.
func (p *Place) Hand(from instrument.Instrument, to instrument.Heir) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, t := from.Base(), to.Base()
	home, run := s.Place.Home.Load(), s.Place.Run
	here := home != nil && !home.Retired()
	if here && run.Share() && !home.AppendShare(&run, false) {
		return false
	}
	to.TakeOver(from)
	s.Place.Home.Store(nil)
	switch at := p.pending.find(s); {
	case at >= 0:
		p.pending.replace(at, to)
	case here:
		t.Place.Run = run
		t.Place.Home.Store(home)
	case home != nil:
		to.Leave()
		p.wait(to)
	}
	return true
}

// Share implements place.Place. A series that waits in memory goes on waiting as a share, so that
// the series goes on when it is made again. A series that never waited has no share.
func (p *Place) Share(from instrument.Instrument, to instrument.Heir) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, t := from.Base(), to.Base()
	home, at := s.Place.Home.Load(), p.pending.find(s)
	if home == nil && at < 0 {
		return false
	}
	to.TakeOver(from)
	s.Place.Home.Store(nil)
	t.Place.Share = true
	switch {
	case at >= 0:
		p.pending.replace(at, to)
	case !home.Retired():
		t.Place.Run = s.Place.Run
		t.Place.Home.Store(home)
		p.shares = append(p.shares, t)
		p.noteShares()
	default: // the series moves into another file
		to.Leave()
		p.wait(to)
	}
	return true
}

// noteShares appends the share records for which there was no room before. Readers see the series
// as it was until then. mu is held.
func (p *Place) noteShares() {
	for n, s := range p.shares {
		home := s.Place.Home.Load()
		if s.Gone() || home == nil || s.Place.Run.Share() {
			continue // made again, beyond the bound, or moved into another file as a share
		}
		if !home.AppendShare(&s.Place.Run, true) {
			p.shares = p.shares[n:]
			return
		}
	}
	p.shares = nil
}

// wait lets an instrument on the heap wait for room. mu is held.
func (p *Place) wait(i instrument.Instrument) {
	if p.currentState() != inherited && !fork.Foreign(p.pid) && !p.closing() {
		p.pending.add(i)
	}
}

// publishNew is Enter as far as there is room. mu is held.
func (p *Place) publishNew(i instrument.Instrument, earlier *instrument.Series) (published bool) {
	f := p.part.Load()
	if earlier != nil && (f == nil || earlier.Place.Home.Load() != f) {
		p.record(earlier)
		earlier = nil
	}
	switch {
	case f == nil:
		return false
	case earlier == nil:
		return p.publishIn(f, i, nil)
	}
	published = p.publishIn(f, i, &earlier.Place.Run)
	earlier.Place.Recorded = published
	p.record(earlier)
	return published
}

// publishNext gives the instrument that has waited in memory the longest its cells in the file, and
// returns the instrument: nil when none waits, when there is no file, or when the file has no room.
// Under one hold of mu the instrument is published and waits no more, so that Hand always finds the
// instrument in one of both places.
func (p *Place) publishNext() instrument.Instrument {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.part.Load()
	if f == nil || p.pending.len() == 0 || !p.publishIn(f, p.pending.first(), nil) {
		return nil
	}
	return p.pending.take()
}

// publishTo moves a published series into a file that is not published itself.
func (p *Place) publishTo(f *ownerfile.File, i instrument.Instrument) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i.Base().Place.Home.Load() == nil {
		return true // handed over since
	}
	return p.publishIn(f, i, nil)
}

// publishIn gives an instrument cells in a file. Before the record of the series,
// publishIn appends that another series of the file, unless nil, is gone. publishIn
// reports false when there is no room. mu is held.
func (p *Place) publishIn(f *ownerfile.File, i instrument.Instrument, gone *ownerfile.Run) bool {
	s := i.Base()
	if s.Gone() {
		return true // no reader is to see the series any more
	}
	if !p.repay() {
		return false // a series with the same label values may be among the owed
	}
	number, ok := familyNumber(f, s.Family)
	if !ok {
		return false
	}
	use := func(cells []atomic.Uint64) {
		s.Place.Home.Store(f)
		i.Use(cells)
	}
	var run ownerfile.Run
	if s.Place.Share { // a rest that waited, or moves from another file
		run, ok = f.AppendDeleted(number, s.Created.Load(), s.Values, s.Family.Def.CellWords(), use)
	} else {
		run, ok = f.ReplaceSeries(gone, number, s.Created.Load(), s.Values, s.Family.Def.CellWords(), use)
	}
	if ok {
		s.Place.Run = run
	}
	return ok
}

// familyNumber returns the number of the family's record, and writes the record
// first if the file has none. mu is held.
func familyNumber(p *ownerfile.File, f *instrument.Family) (uint32, bool) {
	if *f.Record == 0 {
		number, ok := p.AppendFamily(&f.Def)
		if !ok {
			return 0, false
		}
		*f.Record = ownerfile.Record(number + 1)
	}
	return uint32(*f.Record - 1), true
}

// forgetRecords prepares for a file that has no family records.
func (p *Place) forgetRecords() {
	all := p.catalog.Recorded()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range all {
		*f.Record = 0
	}
}
