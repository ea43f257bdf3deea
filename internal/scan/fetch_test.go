//go:build unix

package scan

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/partition"
)

// Many files are read by several goroutines, with the same results and errors as
// a few by one.
func TestManyTogether(t *testing.T) {
	w := newWorld(t)
	if n := w.source.Readers(); n > maxReaders {
		t.Errorf("%d readers, want at most %d", n, maxReaders)
	}
	w.source = together{w.source}
	const many = 3 * fewFiles
	var all []*partition.Partition
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
