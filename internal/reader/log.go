package reader

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync/atomic"

	"github.com/mpmetrics/mpmetrics/internal/cell"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
)

// slab is one slab of the file. The first use maps the slab read-only.
type slab struct {
	place
	region *mapped.Region
	words  []atomic.Uint64 // of the body
}

func (s *slab) body() int { return int(s.header.Bytes) - layout.SlabHeaderBytes }

// unmap gives the memory back. Loads reach the words through the slab alone, so no use is left.
func (s *slab) unmap() {
	s.words = nil
	if s.region != nil {
		s.region.Unmap()
		s.region = nil
	}
}

// guard runs a function that touches the mappings. A fault in a file that has become too short is
// damage of the file. Any other fault is an error of the system: the disk cannot be read.
func (r *File) guard(f func() error) error {
	err := mapped.Guard(f)
	if !errors.Is(err, mapped.ErrFault) {
		return err
	}
	size, sizeErr := r.f.Size()
	for _, s := range r.slabs {
		if sizeErr == nil && s.region != nil && size < s.offset+int64(s.header.Bytes) {
			return fmt.Errorf("%w: it has %d bytes: %w", err, size, layout.ErrDamaged)
		}
	}
	return err
}

func (r *File) mapSlab(s *slab) error {
	if s.region != nil {
		return nil
	}
	region, err := mapped.Read(r.f.FD(), r.path, s.offset, int(s.header.Bytes))
	if err != nil {
		return err
	}
	s.region, s.words = region, cell.Words(region.Bytes[layout.SlabHeaderBytes:])
	return nil
}

// slabOf returns a slab by its number in a record. The owner commits a slab before any record with
// the number of the slab, so an unknown slab is in a transaction after the snapshot.
func (r *File) slabOf(number uint32, kind layout.SlabKind) (*slab, error) {
	s := r.slabs[number]
	if s == nil {
		if err := r.snapshot(); err != nil {
			return nil, err
		}
		s = r.slabs[number]
	}
	if s == nil || s.header.Kind != kind {
		return nil, fmt.Errorf("slab %d named in the log is no slab of %v: %w", number, kind, layout.ErrDamaged)
	}
	return s, r.mapSlab(s)
}

// readLog reads the records since the last reading.
func (r *File) readLog() error {
	if r.log.slab == nil {
		s, err := r.slabOf(r.header.LogSlab, layout.LogSlab)
		if err != nil {
			return err
		}
		r.log.slab = s
	}
	return r.walk(&r.log, r.apply)
}

// cursor is a position in the log.
type cursor struct {
	slab     *slab   // nil before the first reading
	position int     // in the body of the slab
	before   []*slab // slabs of the log before slab
}

// next moves the cursor to another slab.
func (c *cursor) next(s *slab) error {
	c.before = append(c.before[:len(c.before):len(c.before)], c.slab)
	if slices.Contains(c.before, s) {
		// The walk would never end.
		return fmt.Errorf("log returns from slab %d to slab %d: %w", c.slab.header.Number, s.header.Number, layout.ErrDamaged)
	}
	c.slab, c.position = s, 0
	return nil
}

// walk calls do with each record from the cursor on. The cursor moves after each record that do
// accepts.
func (r *File) walk(c *cursor, do func(payload []byte) error) error {
	limit := uint32(layout.MaxRecordBytes)
	if r.visit != nil {
		limit = layout.MaxArchiveRecordBytes
	}
	return r.guard(func() error {
		var payload []byte
		for {
			s, at := c.slab, c.position
			word := s.words[at/layout.WordBytes].Load()
			n := layout.RecordLength(word)
			switch {
			case n == 0:
				return nil
			case n == layout.Continued:
				next, err := r.slabOf(layout.ContinuedIn(word), layout.LogSlab)
				if err != nil {
					return err
				}
				if err := c.next(next); err != nil {
					return err
				}
				continue
			}
			end := uint64(at) + uint64(layout.RecordWordBytes) + uint64(n)
			if n > limit || end+layout.WordBytes > uint64(s.body()) {
				return fmt.Errorf("record of %d bytes at %d of slab %d: %w", n, at, s.header.Number, layout.ErrDamaged)
			}
			from := layout.SlabHeaderBytes + at + layout.RecordWordBytes
			payload = append(payload[:0], s.region.Bytes[from:from+int(n)]...)
			if err := layout.CheckRecord(word, payload); err != nil {
				return fmt.Errorf("at %d of slab %d: %w", at, s.header.Number, err)
			}
			if err := do(payload); err != nil {
				return fmt.Errorf("at %d of slab %d: %w", at, s.header.Number, err)
			}
			c.position += layout.RecordBytes(int(n))
		}
	})
}

// lookAhead marks the series that were deleted since the last reading of the log. All other records
// wait for the next reading, because a series that was made since has no values yet.
func (r *File) lookAhead() error {
	ahead := r.log
	return r.walk(&ahead, func(payload []byte) error {
		if layout.RecordKind(payload[0]) != layout.GoneRecord {
			return nil
		}
		rec, err := layout.DecodeRecord(payload)
		if err != nil {
			return err
		}
		if _, err := r.find(rec.Gone.Series); err != nil {
			return nil // the series was made since, too
		}
		return r.remove(rec.Gone)
	})
}

func (r *File) apply(payload []byte) error {
	rec, err := layout.DecodeRecord(payload)
	if err != nil {
		return err
	}
	switch {
	case r.visit != nil:
		return r.visit(rec)
	case rec.Family != nil:
		return r.addFamily(rec.Number, rec.Family)
	case rec.Series != nil:
		return r.addSeries(rec.Series)
	case rec.Gone != nil:
		return r.remove(rec.Gone)
	case rec.Share != nil:
		return r.share(rec.Share)
	}
	return fmt.Errorf("record of an archive in the file of a process: %w", layout.ErrDamaged)
}

func (r *File) addFamily(number uint32, f *layout.Family) error {
	if err := f.Validate(); err != nil {
		return err
	}
	if _, known := r.numbers[number]; known {
		return fmt.Errorf("family %d twice: %w", number, layout.ErrDamaged)
	}
	index, err := r.table.AddFamily(f)
	if err != nil {
		return err
	}
	r.numbers[number] = index
	return nil
}

func (r *File) addSeries(s *layout.Series) error {
	family, known := r.numbers[s.Family]
	if !known {
		return fmt.Errorf("series %d of unknown family %d: %w", s.Number, s.Family, layout.ErrDamaged)
	}
	if err := s.Validate(r.table.Families()[family]); err != nil {
		return err
	}
	if n := len(r.series); n > 0 && r.series[n-1].number >= s.Number {
		return fmt.Errorf("series %d after series %d: %w", s.Number, r.series[n-1].number, layout.ErrDamaged)
	}
	i, err := r.addEntry(Entry{Family: family, Values: s.Values, Created: s.Created}, s.Place)
	if err != nil {
		return err
	}
	r.series = append(r.series, seriesRef{number: s.Number, entry: i})
	return nil
}

func (r *File) addEntry(e Entry, at layout.Place) (int, error) {
	s, err := r.slabOf(at.Slab, layout.CellSlab)
	if err != nil {
		return 0, err
	}
	f := r.table.Families()[e.Family]
	if end := uint64(at.Word) + uint64(f.CellWords()); end > uint64(len(s.words)) {
		return 0, fmt.Errorf("cells %d to %d of %d in slab %d: %w", at.Word, end, len(s.words), at.Slab, layout.ErrDamaged)
	}
	// Otherwise a small file could name the same cells many times, and a reader would keep values
	// for each entry.
	r.used += f.CellWords()
	if r.used > r.cells {
		return 0, fmt.Errorf("series with %d cells, the slabs have %d: %w", r.used, r.cells, layout.ErrDamaged)
	}
	e.Cells = at
	i, err := r.table.Add(e)
	if err != nil {
		return 0, err
	}
	r.makeRoom()
	r.plan(&r.table.Entries()[i], s)
	return i, nil
}

// makeRoom grows the values to the number of words in the table.
func (r *File) makeRoom() {
	if n := r.table.Words() - len(r.values); n > 0 {
		r.values = append(r.values, make([]uint64, n)...)
	}
}

func (r *File) remove(g *layout.Gone) error {
	i, err := r.find(g.Series)
	if err != nil {
		return err
	}
	if r.table.Leave(i) {
		// The cells of the entry may belong to a later series.
		r.used -= r.table.Families()[r.table.Entries()[i].Family].CellWords()
	}
	return nil
}

func (r *File) share(s *layout.Share) error {
	i, err := r.find(s.Series)
	if err != nil {
		return err
	}
	if f := r.table.Families()[r.table.Entries()[i].Family]; f.ByMode() {
		return fmt.Errorf("share of %v %q: %w", f.Type, f.Name, layout.ErrDamaged)
	}
	r.table.SetShare(i, s.On)
	return nil
}

func (r *File) find(number uint32) (int, error) {
	i := sort.Search(len(r.series), func(i int) bool { return r.series[i].number >= number })
	if i == len(r.series) || r.series[i].number != number {
		return 0, fmt.Errorf("unknown series %d: %w", number, layout.ErrDamaged)
	}
	return r.series[i].entry, nil
}
