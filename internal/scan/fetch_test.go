//go:build unix

package scan

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// Many files are read by several goroutines, with the same results and errors as
// a few by one.
func TestManyTogether(t *testing.T) {
	w := newWorld(t)
	if n := w.source.disk.Readers(); n > maxReaders {
		t.Errorf("%d readers, want at most %d", n, maxReaders)
	}
	w.source.disk, w.source.little = together{w.source.disk}, 0
	const many = 24
	var all []*ownerfile.File
	for range many {
		all = append(all, w.process())
	}
	w.scans("too late", passed(t), ErrDeadline, 0)
	w.scans("in time", t.Context(), nil, many)
	for i := range many / 2 {
		if err := all[i].Close(); err != nil {
			t.Fatal(err)
		}
	}
	w.scans("half are dead", t.Context(), nil, many)
	if f := w.Found(); f.Live != many/2 || f.Dead != many/2 {
		t.Errorf("found %+v, want half of %d living", f, many)
	}

	w.source.memory.most = w.source.memory.used + w.source.memory.used/many
	w.process()
	w.scans("as much as fits", t.Context(), nil, many+1)
	for range many {
		all = append(all, w.process())
	}
	w.scans("too much", t.Context(), ErrMemory, many+1)
	for _, p := range all[many:] {
		if err := errors.Join(p.Close(), os.Remove(p.Path())); err != nil {
			t.Fatal(err)
		}
	}
	w.scans("as before", t.Context(), nil, many+1)
	if w.source.descriptors.open.Load() != many/2+1 {
		t.Errorf("%d descriptors, want those of %d living", w.source.descriptors.open.Load(), many/2+1)
	}
}

// together has several readers on every machine.
type together struct{ Disk }

func (together) Readers() int { return maxReaders }

// twice is a disk whose listing has each name twice, as the kernel's may while other processes make
// and remove files.
type twice struct{ Disk }

func (d twice) List() ([]directory.Entry, error) {
	entries, err := d.Disk.List()
	return append(entries, entries...), err
}

// A file that is listed twice is read by one goroutine, and counts once.
func TestListedTwice(t *testing.T) {
	w := newWorld(t)
	w.source.disk, w.source.little = twice{together{w.source.disk}}, 0
	const many = 24
	for range many {
		w.process()
	}
	for range 3 {
		w.scans("twice", t.Context(), nil, many)
	}
	if n := len(w.source.listed); n != many {
		t.Errorf("%d files are listed, want %d", n, many)
	}
}

// A file whose process has made another one, because it was removed, is free as
// that of a dead process is. Who meets it just then goes on with the other one.
func TestFreeButNotDead(t *testing.T) {
	w := newWorld(t)
	first := w.process()
	w.scans("before", t.Context(), nil, 1)
	for _, f := range w.source.files {
		f.File = freed{f.File, func() {
			if err := errors.Join(os.Remove(first.Path()), first.Close()); err != nil {
				t.Fatal(err)
			}
			second, err := ownerfile.Create(filepath.Dir(first.Path()), first.Header())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { second.Close() })
			_, ok := second.AppendFamily(&layout.Family{Type: layout.Counter, Name: "c_total"})
			if !ok || !second.AppendSeries(0, 1, nil, layout.CounterWords, func(cells []atomic.Uint64) { cells[0].Store(2) }) {
				t.Fatal("no room")
			}
		}}
	}
	w.scans("while it is replaced", t.Context(), nil, 2)
	if f := w.Found(); f.Live != 1 || f.Dead != 0 {
		t.Errorf("found %+v, want one living", f)
	}
}

// freed is a file whose lock is dropped before it is probed.
type freed struct {
	File
	drop func()
}

func (f freed) Live() (bool, error) {
	f.drop()
	return f.File.Live()
}
