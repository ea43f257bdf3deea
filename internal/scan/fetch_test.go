//go:build unix

package scan

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// Many files are read by several goroutines, with the same results and errors as
// a few by one.
func TestManyTogether(t *testing.T) {
	w := newWorld(t)
	if n := w.source.Readers(); n > maxReaders {
		t.Errorf("%d readers, want at most %d", n, maxReaders)
	}
	w.source, w.little = together{w.source}, 0
	const many = 24
	var all []*ownerfile.File
	for range many {
		all = append(all, w.process())
	}
	w.scans("too late", time.Now().Add(-time.Second), ErrDeadline, 0)
	w.scans("in time", later(), nil, many)
	for i := range many / 2 {
		if err := all[i].Close(); err != nil {
			t.Fatal(err)
		}
	}
	w.scans("half are dead", later(), nil, many)
	if f := w.Found(); f.Live != many/2 || f.Dead != many/2 {
		t.Errorf("found %+v, want half of %d living", f, many)
	}

	w.most = w.memory + w.memory/many
	w.process()
	w.scans("as much as fits", later(), nil, many+1)
	for range many {
		all = append(all, w.process())
	}
	w.scans("too much", later(), ErrMemory, many+1)
	for _, p := range all[many:] {
		if err := errors.Join(p.Close(), os.Remove(p.Path())); err != nil {
			t.Fatal(err)
		}
	}
	w.scans("as before", later(), nil, many+1)
	if w.open.Load() != many/2+1 {
		t.Errorf("%d descriptors, want those of %d living", w.open.Load(), many/2+1)
	}
}

// together has several readers on every machine.
type together struct{ Source }

func (together) Readers() int { return maxReaders }

// A file whose process has made another one, because it was removed, is free as
// that of a dead process is. Who meets it just then goes on with the other one.
func TestFreeButNotDead(t *testing.T) {
	w := newWorld(t)
	first := w.process()
	w.scans("before", later(), nil, 1)
	for _, f := range w.files {
		f.file = freed{f.file, func() {
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
	w.scans("while it is replaced", later(), nil, 2)
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
