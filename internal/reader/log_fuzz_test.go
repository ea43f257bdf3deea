//go:build unix

package reader

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/boltfile"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/damage"
)

// The slabs of a logFile: the log begins in the first, and may go on in others.
const (
	firstLog = iota
	cellSlab
	secondLog
	thirdLog
	logFileSlabs
)

// logFile is the file of a dead process, whose log a test writes.
type logFile struct {
	path string
	f    *os.File
	body [logFileSlabs]int64 // where the body of each slab begins
}

func newLogFile(t testing.TB) *logFile {
	t.Helper()
	id := layout.NewID()
	path := filepath.Join(t.TempDir(), layout.FileName(1, id))
	putLogFile(t, path, layout.Header{PID: 1, ID: id}, firstLog, cellSlab, secondLog, thirdLog)
	l := &logFile{path: path}
	var err error
	if l.f, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.f.Close() })
	s, err := readSnapshot(memoryOf(readFile(t, path)), metas{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range s.slabs {
		l.body[p.header.Number] = p.offset + layout.SlabHeaderBytes
	}
	return l
}

// putLogFile makes a file with slabs in an order. A header without an inode gets
// the right one.
func putLogFile(t testing.TB, path string, h layout.Header, order ...uint32) {
	t.Helper()
	db, _, inode, err := boltfile.Create(path, directory.GroupReads)
	if err != nil {
		t.Fatal(err)
	}
	if h.Inode == 0 {
		h.Inode = inode
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, n := range order {
			h := layout.SlabHeader{Kind: layout.LogSlab, Number: n, Bytes: uint64(layout.SlabBytes(1))}
			if n == cellSlab {
				h.Kind = layout.CellSlab
			}
			slab := layout.EncodeSlab(h)
			if n == cellSlab {
				for i := layout.SlabHeaderBytes; i < len(slab); i += layout.WordBytes {
					binary.NativeEndian.PutUint64(slab[i:], uint64(i))
				}
			}
			if err := boltfile.Put(tx, n, slab); err != nil {
				return err
			}
		}
		return boltfile.PutHeader(tx, &h)
	})
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		t.Fatal(err)
	}
}

// clear makes the log empty.
func (l *logFile) clear(t testing.TB) {
	t.Helper()
	for n, at := range l.body {
		if n == cellSlab {
			continue
		}
		if _, err := l.f.WriteAt(make([]byte, layout.SlabBytes(1)-layout.SlabHeaderBytes), at); err != nil {
			t.Fatal(err)
		}
	}
}

// step is what an owner writes at once: a payload, and then the word in front of
// it.
type step struct {
	at      int64
	word    uint64
	payload []byte
}

func (l *logFile) write(t testing.TB, s step) {
	t.Helper()
	_, err := l.f.WriteAt(s.payload, s.at+layout.RecordWordBytes)
	if err == nil {
		_, err = l.f.WriteAt(binary.NativeEndian.AppendUint64(nil, s.word), s.at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// The operations of a tape that writes a log.
const (
	opRecord   = iota // length of 1, payload
	opContinue        // slab of 1
	opWord            // 8 bytes, length of 1, payload: as it is
	logOperations
)

// steps are what a tape writes, as long as there is room.
func (l *logFile) steps(tape damage.Tape) []step {
	var steps []step
	slab, at := firstLog, 0
	for len(tape) > 0 {
		var s step
		next := slab
		switch tape.Below(logOperations) {
		case opRecord:
			s.payload = tape.Bytes(int(tape.Byte()))
			s.word = layout.RecordWord(s.payload)
		case opContinue:
			n := tape.Byte()
			s.word = layout.ContinueWord(uint32(n))
			next = int(n)
		case opWord:
			s.word = binary.NativeEndian.Uint64(tape.Bytes(layout.WordBytes))
			s.payload = tape.Bytes(int(tape.Byte()))
		}
		if at+layout.RecordBytes(len(s.payload)) > layout.SlabBytes(1)-layout.SlabHeaderBytes {
			break
		}
		s.at = l.body[slab] + int64(at)
		steps = append(steps, s)
		// Nothing is written where a word says that its payload is.
		at += layout.RecordBytes(max(len(s.payload), int(layout.RecordLength(s.word))))
		if layout.RecordLength(s.word) == layout.Continued {
			if next <= slab || next >= logFileSlabs || next == cellSlab {
				break // nobody reads on; and what is behind it would be written over
			}
			slab, at = next, 0
		}
	}
	return steps
}

// tape is the tape that writes records, in one slab or in two.
func tape(continued bool, payloads ...[]byte) []byte {
	var b []byte
	for i, p := range payloads {
		if continued && i == len(payloads)/2 {
			b = append(b, opContinue, secondLog)
		}
		b = append(append(b, opRecord, byte(len(p))), p...)
	}
	return b
}

// FuzzLog lets the fuzzer write a log. A reader that reads on behind each record,
// and one that comes when all is written, find the same, and no more than there
// is.
func FuzzLog(f *testing.F) {
	l := newLogFile(f)
	for _, test := range brokenLogs {
		f.Add(tape(false, test.log...))
		f.Add(tape(true, test.log...))
	}
	f.Add([]byte{opContinue, firstLog})
	f.Add([]byte{opContinue, cellSlab})
	f.Add([]byte{opContinue, thirdLog, opContinue, secondLog})
	f.Add([]byte{opContinue, 99})
	f.Add([]byte{opWord, 1, 2, 3, 4, 5, 6, 7, 8, 0})
	f.Add([]byte{opWord, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, tape []byte) {
		l.clear(t)
		steps := l.steps(tape)
		follower := open(t, l.path)
		defer follower.Close()
		var followed error
		for _, s := range steps {
			l.write(t, s)
			if followed == nil {
				followed = follower.Refresh()
			}
		}
		damage.Bounded(t, "log", func() {
			r, err := openHeader(l.path)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			err = r.Refresh()
			if err != nil && !known(err) {
				t.Errorf("error of no known kind: %v", err)
			}
			if err == nil != (followed == nil) || err != nil && err.Error() != followed.Error() {
				t.Fatalf("read at once: %v; read on behind each record: %v", err, followed)
			}
			same := func(what string, got, want any) {
				if diff := cmp.Diff(got, want, cmp.AllowUnexported(seriesRef{}), cmpopts.EquateNaNs()); diff != "" {
					t.Errorf("%s (-read on +at once):\n%s", what, diff)
				}
			}
			same("families", follower.Families(), r.Families())
			same("entries", follower.Entries(), r.Entries())
			same("series", follower.series, r.series)
			same("gone", follower.Gone(), r.Gone())
			count(t, r, steps)
			values, err := r.Load()
			again, errAgain := follower.Load()
			if err == nil != (errAgain == nil) {
				t.Errorf("values: %v, %v", err, errAgain)
			}
			same("values", again, values)
			checkValues(t, r, values)
		})
	})
}

// count compares what a reader found with the records of a log.
func count(t *testing.T, r *File, steps []step) {
	t.Helper()
	families, entries := 0, 0
	for _, s := range steps {
		rec, err := layout.DecodeRecord(s.payload)
		switch {
		case err != nil:
		case rec.Family != nil:
			families++
		case rec.Series != nil:
			entries++
		}
	}
	if len(r.Families()) > families || len(r.Entries()) > entries {
		t.Errorf("%d families and %d entries of %d and %d records", len(r.Families()), len(r.Entries()), families, entries)
	}
}

// checkValues checks that the values of counters are the words of the slab, one
// behind the other. The words of the slab say where they are.
func checkValues(t *testing.T, r *File, values []uint64) {
	t.Helper()
	for _, e := range r.Entries() {
		if f := r.Families()[e.Family]; values == nil || e.Gone || f.Type != layout.Counter {
			continue
		}
		first, second := values[e.At], values[e.At+1]
		if first%layout.WordBytes != 0 || first < layout.SlabHeaderBytes || second != first+layout.WordBytes || second >= uint64(layout.SlabBytes(1)) {
			t.Errorf("counter holds %d and %d", first, second)
		}
	}
}

// Rules of the log, each broken once, and the sound logs around them.
var (
	counter   = layout.AppendFamily(nil, 0, &layout.Family{Type: layout.Counter, Name: "c_total", LabelNames: []string{"a"}})
	histogram = layout.AppendFamily(nil, 1, &layout.Family{Type: layout.Histogram, Name: "h", Bounds: []float64{1, 2}})
	series    = func(number, family, word uint32, values ...string) []byte {
		return seriesAt(number, family, layout.Place{Slab: cellSlab, Word: word}, values...)
	}
	seriesAt = func(number, family uint32, at layout.Place, values ...string) []byte {
		return layout.AppendSeries(nil, &layout.Series{Number: number, Family: family, Place: at, Values: values})
	}
	// sameCells are so many series of a family without labels that name the same cells.
	sameCells = func(family, count uint32) (log [][]byte) {
		for n := range count {
			log = append(log, series(n, family, 0))
		}
		return log
	}
	brokenLogs = []struct {
		name string
		log  [][]byte
		want string // the error; empty: none
	}{
		{name: "empty", log: nil, want: ""},
		{name: "series of two families", log: [][]byte{counter, series(0, 0, 0, "x"), histogram, series(1, 0, 2, "y"), series(2, 1, 4)}, want: ""},
		{name: "gone", log: [][]byte{counter, series(0, 0, 0, "x"), layout.AppendGone(nil, layout.Gone{Series: 0}), layout.AppendGone(nil, layout.Gone{Series: 0})}, want: ""},
		{name: "record without a byte, which is no record", log: [][]byte{{}, counter}, want: ""},
		{name: "unknown kind", log: [][]byte{{99}}, want: "unknown kind 99"},
		{name: "kind that was never written", log: [][]byte{{3, 0, 1, 0}}, want: "unknown kind 3"},
		{name: "family twice", log: [][]byte{counter, counter}, want: "family 0 twice"},
		{name: "invalid family", log: [][]byte{layout.AppendFamily(nil, 0, &layout.Family{Type: 9, Name: "c_total"})}, want: "unknown type 9"},
		{name: "unknown family", log: [][]byte{series(0, 0, 0, "x")}, want: "series 0 of unknown family 0"},
		{name: "label values", log: [][]byte{counter, series(0, 0, 0, "x", "y")}, want: "2 label values, want 1"},
		{name: "series out of order", log: [][]byte{counter, series(3, 0, 0, "x"), series(3, 0, 2, "y")}, want: "series 3 after series 3"},
		{name: "gone, and never there", log: [][]byte{layout.AppendGone(nil, layout.Gone{Series: 7})}, want: "unknown series 7"},
		{name: "no slab", log: [][]byte{counter, series(0, 0, 0, "x"), seriesAt(1, 0, layout.Place{Slab: 9}, "y")}, want: "slab 9 named in the log is no slab of cells"},
		{name: "cells in the log", log: [][]byte{counter, series(0, 0, 0, "x"), seriesAt(1, 0, layout.Place{Slab: firstLog}, "y")}, want: "slab 0 named in the log is no slab of cells"},
		{name: "behind the end", log: [][]byte{counter, series(0, 0, 495, "x")}, want: "cells 495 to 497 of 496 in slab 1"},
		{name: "cells again and again", log: slices.Concat([][]byte{histogram}, sameCells(1, 83)), want: "series with 498 cells, the slabs have 496"},
		{name: "record of an archive", log: [][]byte{layout.AppendState(nil, &layout.State{})}, want: "record of an archive in the file of a process"},
	}
)

func TestRulesOfTheLog(t *testing.T) {
	l := newLogFile(t)
	for _, test := range brokenLogs {
		t.Run(test.name, func(t *testing.T) {
			l.clear(t)
			for _, s := range l.steps(tape(false, test.log...)) {
				l.write(t, s)
			}
			f, err := Open(l.path)
			wantError(t, err, test.want)
			if err == nil {
				f.Close()
			}
		})
	}
}

// wantError compares an error with a part of its text; "": there is none.
func wantError(t *testing.T, err error, text string) {
	t.Helper()
	if (err != nil) != (text != "") || err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want %q", err, text)
	}
}
