// Package salvage saves the readable part of a damaged file into a new file.
//
// A reader accepts a file only as a whole, because after one damage any other part of the file may
// be wrong too. An operator who runs a repair has decided that some of the counts are better than
// none. The pages of the file need not be readable: package salvage finds slabs by their headers,
// which have checksums, records by their checksums, and cells by the records. Salvage drops
// inconsistent parts, and lists them.
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
	"strconv"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// ErrNothing is returned when nothing can be saved.
var ErrNothing = errors.New("nothing in the file is readable")

// maxFileBytes is the limit of a reader.
const maxFileBytes = 1 << 30

// Found is the readable part of a file.
type Found struct {
	Header    layout.Header
	Families  []*layout.Family
	Series    []Series
	Mirrored  map[string][]byte // families of foreign collectors
	Exemplars map[string][]byte
	Lost      []string // unreadable parts, in words
}

// Series is a series, and its cells, unchanged.
type Series struct {
	Family  int // index into Families
	Values  []string
	Created int64
	Cells   []uint64

	Share bool // the series is a share

	number uint32
	place  layout.Place
}

// Read reads the readable part of the file at path. The file may be in any directory. Its name has
// to be the name of a process's file, because the name identifies the process if the header is
// lost.
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
	shares   map[uint32]bool                       // numbers
	damaged  bool                                  // the log has gaps
	lost     int                                   // series with a lost family
}

func (s *salvor) lose(format string, args ...any) {
	s.found.Lost = append(s.found.Lost, fmt.Sprintf(format, args...))
}

// header identifies the process, and reads the families in bbolt's buckets if readable.
func (s *salvor) header(path string, pid int, id layout.ID) {
	var h *layout.Header
	if raw, err := reader.ReadRaw(path); err == nil {
		h = raw.Header
		s.found.Mirrored, s.found.Exemplars = s.check(raw.Mirrored), raw.Exemplars
	} else {
		s.lose("the buckets of the file, with the families of foreign collectors: %v", err)
		h = layout.FindHeader(s.bytes)
	}
	if h == nil || h.Kind != layout.ProcessFile || h.ID != id || int(h.PID) != pid {
		s.lose("the header: the identity of the process, and its start; the label process is the pid")
		// The pid is the label of a process whose owner has set no other label.
		s.found.Header = layout.Header{PID: uint32(pid), ID: id, Process: strconv.Itoa(pid)}
		return
	}
	s.found.Header = layout.Header{PID: h.PID, ID: h.ID, Start: h.Start, BootID: h.BootID, Host: h.Host, Program: h.Program, Process: h.Process}
}

// check keeps the readable mirrored families.
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

// log reads all readable records, of former logs too: which log is in force does not matter. A
// series keeps its number in a rewritten log, and a series deleted in one log is deleted in all.
func (s *salvor) log() {
	s.gone, s.shares = map[uint32]bool{}, map[uint32]bool{}
	numbers := slices.Sorted(maps.Keys(s.slabs[layout.LogSlab]))
	if len(numbers) == 0 {
		s.lose("the series log")
		return
	}
	for _, number := range numbers {
		s.readSlab(s.slabs[layout.LogSlab][number])
	}
	if s.damaged {
		s.lose("parts of the series log, with their series")
	}
	if s.damaged && len(s.gone) > 0 {
		s.lose("perhaps the deletion of series: deleted series may be back, with the cells of other series")
	}
	if s.lost > 0 {
		s.lose("%d series whose family is lost", s.lost)
	}
}

// readSlab reads the records of a slab. After a damaged record readSlab looks for the next good
// record.
func (s *salvor) readSlab(body []byte) {
	for at := 0; at+layout.RecordWordBytes <= len(body); {
		word := binary.NativeEndian.Uint64(body[at:])
		n := layout.RecordLength(word)
		switch {
		case n == layout.Continued:
			return
		case n == 0:
			// The end, unless a record follows.
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
	case r.Share != nil:
		s.shares[r.Share.Series] = r.Share.On
	}
}

// cells reads the cells of each series. cells drops three kinds of series: series without cells,
// series with inconsistent cells, and series whose cells a later series has, because the gone
// record may be lost and cells are reused.
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
		x.Share = s.shares[x.number]
		oldest = min(oldest, x.Created)
		kept = append(kept, x)
	}
	s.found.Series = kept
	if lost > 0 {
		s.lose("%d series whose cells are after the end of the file", lost)
	}
	if inconsistent > 0 {
		s.lose("%d series with inconsistent cells", inconsistent)
	}
	if s.found.Header.Start == 0 && len(kept) > 0 {
		s.found.Header.Start = oldest
	}
}

// maxCount is more than a process counts: at one each nanosecond a process needs 104 days. An
// overwritten word is usually larger.
const maxCount = 1 << 53

// consistent reports whether cells can be the cells of a series of family f.
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
