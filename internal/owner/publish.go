package owner

import (
	"slices"
	"sync/atomic"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// Shows implements place.Place.
func (p *Place) Shows(s *instrument.Series) bool { return s.Place.Home.Load() != nil }

// Enter publishes a new series if there is room, and otherwise lets the series wait. A
// reader sees an earlier series leave before the reader sees the new series.
func (p *Place) Enter(i instrument.Instrument, earlier *instrument.Series) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.publishNew(i, earlier) {
		return
	}
	i.Keep()
	p.wait(i)
}

// Hand implements place.Place. While the series move into another file, the heir waits on the heap
// for the new file, like a new series.
func (p *Place) Hand(from instrument.Instrument, to instrument.Heir) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, t := from.Base(), to.Base()
	to.TakeOver(from)
	home := s.Place.Home.Load()
	s.Place.Home.Store(nil)
	switch at := slices.Index(p.pending, from); {
	case at >= 0:
		p.pending[at] = to
	case home == nil:
	case home == p.part.Load():
		t.Place.Run = s.Place.Run
		t.Place.Home.Store(home)
	default:
		to.Leave()
		p.wait(to)
	}
}

// wait lets an instrument on the heap wait for room. mu is held.
func (p *Place) wait(i instrument.Instrument) {
	if s := p.currentState(); s != inherited && !p.closing() {
		p.pending = append(p.pending, i)
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

// publish gives an instrument that waits in memory cells in the file. publish reports
// false when there is no file, or no room in the file.
func (p *Place) publish(i instrument.Instrument) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.part.Load()
	return f != nil && p.publishIn(f, i, nil)
}

// publishTo publishes in a file that is not published itself.
func (p *Place) publishTo(f *ownerfile.File, i instrument.Instrument) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
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
	run, ok := f.ReplaceSeries(gone, number, s.Created.Load(), s.Values, s.Family.Def.CellWords(), func(cells []atomic.Uint64) {
		s.Place.Home.Store(f)
		i.Use(cells)
	})
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
