package store

import (
	"sync/atomic"

	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// filePlace is what a series has for the file backend: where it is published.
type filePlace struct {
	// home is the file that the series is published in, nil for none. Written under the
	// lock of the partition, and by the background work.
	home atomic.Pointer[ownerfile.File]

	// Guarded by the backend's mu.
	run      ownerfile.Run // in home
	recorded bool          // the log says that it is gone, in front of the one that was made again
}

// fileRecord is what a family has for the file backend: the number of its record plus
// one, 0 while there is none. Guarded by the backend's mu.
type fileRecord uint32

// shows implements backend.
func (b *fileBackend) shows(s *series) bool { return s.place.home.Load() != nil }

// enter publishes a new series, if there is room for it, and otherwise keeps it in
// mind. A reader sees an earlier one go before it sees the new one.
func (b *fileBackend) enter(i instrument, earlier *series) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.publishNew(i, earlier) {
		return
	}
	i.keep()
	if !b.closed {
		b.pending = append(b.pending, i)
	}
}

// publishNew is enter as far as there is room. mu is held.
func (b *fileBackend) publishNew(i instrument, earlier *series) (published bool) {
	p := b.part.Load()
	if earlier != nil && (p == nil || earlier.place.home.Load() != p) {
		b.record(earlier)
		earlier = nil
	}
	switch {
	case p == nil:
		return false
	case earlier == nil:
		return b.publishIn(p, i, nil)
	}
	published = b.publishIn(p, i, &earlier.place.run)
	earlier.place.recorded = published
	b.record(earlier)
	return published
}

// publish gives an instrument that waits in memory cells in the file of the store.
// It reports false when there is none, or no room in it.
func (b *fileBackend) publish(i instrument) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.part.Load()
	return p != nil && b.publishIn(p, i, nil)
}

// publishTo publishes in a file that is not published itself.
func (b *fileBackend) publishTo(p *ownerfile.File, i instrument) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.publishIn(p, i, nil)
}

// publishIn gives an instrument cells in a file, and appends in front of its record
// that another series of the file, unless nil, is gone. It reports false when there
// is no room. mu is held.
func (b *fileBackend) publishIn(p *ownerfile.File, i instrument, gone *ownerfile.Run) bool {
	s := i.base()
	if s.gone.Load() {
		return true // nobody is to see it any more
	}
	if !b.repay() {
		return false // one with the same label values may be among them
	}
	number, ok := familyNumber(p, s.family)
	if !ok {
		return false
	}
	run, ok := p.ReplaceSeries(gone, number, s.created.Load(), s.values, s.family.def.CellWords(), func(cells []atomic.Uint64) {
		s.place.home.Store(p)
		i.use(cells)
	})
	if ok {
		s.place.run = run
	}
	return ok
}

// postpone keeps an instrument in mind that could not be published.
func (b *fileBackend) postpone(i instrument) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.pending = append(b.pending, i)
	}
}

// familyNumber returns the number of the family's record, and writes the record
// first if there is none. The backend's mu is held.
func familyNumber(p *ownerfile.File, f *family) (uint32, bool) {
	if f.record == 0 {
		number, ok := p.AppendFamily(&f.def)
		if !ok {
			return 0, false
		}
		f.record = fileRecord(number + 1)
	}
	return uint32(f.record - 1), true
}

// forgetRecords begins a file that has no records of families.
func (b *fileBackend) forgetRecords() {
	all := b.store.definitions()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range all {
		f.record = 0
	}
}
