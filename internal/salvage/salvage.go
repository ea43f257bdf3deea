// Package salvage saves what is readable of a damaged file into a new one.
//
// A reader takes a file only whole: of one in which anything is damaged nobody can
// say what else is. Here somebody has decided that some of the counts are better than
// none. The pages of a file need not lead anywhere: slabs are found by their headers,
// which have checksums, records by theirs, and cells by the records. What does not
// add up is left out, and said.
package salvage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// ErrNothing is returned when nothing can be saved.
var ErrNothing = errors.New("nothing in it is readable")

// maxFileBytes is what a reader takes.
const maxFileBytes = 1 << 30

// Found is what is readable of a file.
type Found struct {
	Header    layout.Header
	Families  []*layout.Family
	Series    []Series
	Mirrored  map[string][]byte // families of collectors that are not ours
	Exemplars map[string][]byte
	Lost      []string // what is not, in words
}

// Series is a series, and its cells as they are.
type Series struct {
	Family  int // index into Families
	Values  []string
	Created int64
	Cells   []uint64

	number uint32
	place  layout.Place
}

// Read saves what it can. The file may be anywhere; its name has to be that of a
// process's file, since that says whose it is if the header does not.
func Read(path string) (*Found, error) {
	pid, id, err := layout.ParseFileName(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	b, err := readAll(path)
	if err != nil {
		return nil, err
	}
	s := &salvor{bytes: b, slabs: map[layout.SlabKind]map[uint32][]byte{}, families: map[uint32]int{}, series: map[uint32]int{}}
	s.header(path, pid, id)
	s.findSlabs()
	s.log()
	s.cells()
	if len(s.found.Series)+len(s.found.Mirrored) == 0 {
		return nil, &fs.PathError{Op: "repair", Path: path, Err: ErrNothing}
	}
	return &s.found, nil
}

func readAll(path string) ([]byte, error) {
	f, st, err := directory.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st.Size > maxFileBytes {
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%d bytes, more than %d: %w", st.Size, int64(maxFileBytes), layout.ErrLimit)}
	}
	b := make([]byte, st.Size)
	_, err = f.ReadAt(b, 0)
	return b, err
}

// salvor works on one file.
type salvor struct {
	bytes []byte
	found Found

	slabs    map[layout.SlabKind]map[uint32][]byte // bodies by number
	families map[uint32]int                        // number to index in found.Families
	series   map[uint32]int                        // number to index in found.Series
	gone     map[uint32]bool                       // numbers
	damaged  bool                                  // the log has gaps
	lost     int                                   // series whose family is
}

func (s *salvor) lose(format string, args ...any) {
	s.found.Lost = append(s.found.Lost, fmt.Sprintf(format, args...))
}

// header finds out whose the file is, and takes what bbolt holds if it can be read.
func (s *salvor) header(path string, pid int, id layout.ID) {
	var h *layout.Header
	if raw, err := reader.ReadRaw(path); err == nil {
		h = raw.Header
		s.found.Mirrored, s.found.Exemplars = s.check(raw.Mirrored), raw.Exemplars
	} else {
		s.lose("the buckets of the file, with what collectors of others have shown: %v", err)
		h = layout.FindHeader(s.bytes)
	}
	if h == nil || h.Kind != layout.ProcessFile || h.ID != id || int(h.PID) != pid {
		s.lose("the header: who it was, and when it began")
		s.found.Header = layout.Header{PID: uint32(pid), ID: id}
		return
	}
	s.found.Header = layout.Header{PID: h.PID, ID: h.ID, Start: h.Start, BootID: h.BootID, Host: h.Host, Program: h.Program, Process: h.Process}
}

// check keeps the mirrored families that can be read.
func (s *salvor) check(all map[string][]byte) map[string][]byte {
	good := make(map[string][]byte, len(all))
	for name, value := range all {
		if _, err := mirror.Decode(name, value); err != nil {
			s.lose("mirrored family %.100q: %v", name, err)
			continue
		}
		good[name] = value
	}
	return good
}

// findSlabs looks for slabs at the beginning of each page run.
func (s *salvor) findSlabs() {
	for at := layout.ValueOffset; at+layout.SlabHeaderBytes <= len(s.bytes); at += layout.PageSize {
		h, err := layout.DecodeSlab(s.bytes[at:])
		if err != nil {
			continue
		}
		if s.slabs[h.Kind] == nil {
			s.slabs[h.Kind] = map[uint32][]byte{}
		}
		s.slabs[h.Kind][h.Number] = s.bytes[at+layout.SlabHeaderBytes : min(len(s.bytes), at+int(h.Bytes))]
	}
}

// log reads all records that can be read, of former logs too: which one is in force
// need not be known. A series keeps its number when the log is written anew, and who
// is gone in one log is gone.
func (s *salvor) log() {
	s.gone = map[uint32]bool{}
	numbers := slices.Sorted(maps.Keys(s.slabs[layout.LogSlab]))
	if len(numbers) == 0 {
		s.lose("the series log")
		return
	}
	for _, number := range numbers {
		s.readSlab(s.slabs[layout.LogSlab][number])
	}
	if s.damaged {
		s.lose("parts of the series log, with the series that are named there")
	}
	if s.damaged && len(s.gone) > 0 {
		s.lose("perhaps the deletion of series: they may be back, with cells that others have now")
	}
	if s.lost > 0 {
		s.lose("%d series whose family is lost", s.lost)
	}
}

// readSlab reads the records of a slab. Behind one that is damaged it looks for the
// next one that is not.
func (s *salvor) readSlab(body []byte) {
	for at := 0; at+layout.RecordWordBytes <= len(body); {
		word := binary.NativeEndian.Uint64(body[at:])
		n := layout.RecordLength(word)
		switch {
		case n == layout.Continued:
			return
		case n == 0:
			// The end, unless there is something behind.
			next := s.resync(body, at+layout.WordBytes)
			if next == len(body) {
				return
			}
			s.damaged, at = true, next
			continue
		}
		if r, ok := record(body, at); ok {
			s.apply(r)
			at += layout.RecordBytes(int(n))
			continue
		}
		s.damaged = true
		at = s.resync(body, at+layout.WordBytes)
	}
}

// record reads the record at a place.
func record(body []byte, at int) (layout.Record, bool) {
	word := binary.NativeEndian.Uint64(body[at:])
	n, from := int64(layout.RecordLength(word)), at+layout.RecordWordBytes
	if n == 0 || n > layout.MaxRecordBytes || int64(from)+n > int64(len(body)) {
		return layout.Record{}, false
	}
	payload := body[from : from+int(n)]
	if layout.CheckRecord(word, payload) != nil {
		return layout.Record{}, false
	}
	r, err := layout.DecodeRecord(payload)
	return r, err == nil
}

// resync returns where the next good record is, or the end.
func (s *salvor) resync(body []byte, at int) int {
	for ; at+layout.RecordWordBytes <= len(body); at += layout.WordBytes {
		if _, ok := record(body, at); ok {
			return at
		}
	}
	return len(body)
}

// apply takes a record.
func (s *salvor) apply(r layout.Record) {
	switch {
	case r.Family != nil:
		if _, known := s.families[r.Number]; !known && r.Family.Validate() == nil {
			s.families[r.Number] = len(s.found.Families)
			s.found.Families = append(s.found.Families, r.Family)
		}
	case r.Series != nil:
		family, known := s.families[r.Series.Family]
		if !known || r.Series.Validate(s.found.Families[family]) != nil {
			s.lost++
			return
		}
		if _, twice := s.series[r.Series.Number]; twice {
			return
		}
		s.series[r.Series.Number] = len(s.found.Series)
		s.found.Series = append(s.found.Series, Series{
			Family: family, Values: r.Series.Values, Created: r.Series.Created, number: r.Series.Number, place: r.Series.Place,
		})
	case r.Gone != nil:
		s.gone[r.Gone.Series] = true
	}
}

// cells takes the cells of each series, and leaves out series that have none, or
// whose cells do not add up, or are another's: the record that said so may be lost,
// and cells are used again.
func (s *salvor) cells() {
	owner := map[layout.Place]uint32{}
	for _, x := range s.found.Series {
		owner[x.place] = max(owner[x.place], x.number)
	}
	s.found.Series = slices.DeleteFunc(s.found.Series, func(x Series) bool {
		return s.gone[x.number] || owner[x.place] != x.number
	})
	lost, inconsistent, oldest := 0, 0, int64(math.MaxInt64)
	kept := s.found.Series[:0]
	for _, x := range s.found.Series {
		f := s.found.Families[x.Family]
		body := s.slabs[layout.CellSlab][x.place.Slab]
		from, n := int(x.place.Word)*layout.WordBytes, f.CellWords()
		if from+n*layout.WordBytes > len(body) {
			lost++
			continue
		}
		x.Cells = make([]uint64, n)
		for i := range x.Cells {
			x.Cells[i] = binary.NativeEndian.Uint64(body[from+i*layout.WordBytes:])
		}
		if !consistent(f, x.Cells) {
			inconsistent++
			continue
		}
		oldest = min(oldest, x.Created)
		kept = append(kept, x)
	}
	s.found.Series = kept
	if lost > 0 {
		s.lose("%d series whose cells are beyond the end of what is left", lost)
	}
	if inconsistent > 0 {
		s.lose("%d series whose cells do not add up", inconsistent)
	}
	if s.found.Header.Start == 0 && len(kept) > 0 {
		s.found.Header.Start = oldest
	}
}

// maxCount is more than a process counts: at one each nanosecond it takes 104 days.
// What was written over with anything is usually larger.
const maxCount = 1 << 53

// consistent reports whether cells can be those of a family.
func consistent(f *layout.Family, cells []uint64) bool {
	if f.ByMode() {
		return true // any word is a value
	}
	if f.Type == layout.Counter {
		v := math.Float64frombits(cells[1])
		return v >= 0 && !math.IsInf(v, 0) && cells[0] <= maxCount
	}
	commit := cells[layout.CommitWord]
	if f.Type == layout.Summary {
		return true
	}
	buckets := cells[layout.BucketWord:]
	var total uint64
	for _, n := range buckets {
		total += n
	}
	return total == layout.Commits(commit) || total+1 == layout.Commits(commit) && layout.CommitIndex(commit) < len(buckets)
}
