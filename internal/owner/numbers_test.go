//go:build unix

package owner

import (
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// A file without numbers for series is left for a new one with the same name: the process goes on,
// and readers find what was counted before, meanwhile, and after.
func TestSeriesGoOnInANewFileWhenNumbersRunOut(t *testing.T) {
	b := newBurst(t)
	defer b.close(t)
	made := func(name string) *instrument.Counter {
		f := instrument.CounterFamily(prometheus.CounterOpts{Name: name, Help: "h"}, nil)
		c := f.NewCounter()
		f.Single, f.Collector = c, c
		b.catalog.Add(f)
		return c
	}
	first := made("first")
	first.Add(7)
	file := b.part.Load()
	file.SkipSeries(math.MaxUint32 - 1)
	waits := made("waits")
	waits.Add(3)
	b.maintain(true, false)
	if b.part.Load() == file {
		t.Fatal("the place stays in the file")
	}
	b.maintain(false, false)
	last := made("last")
	last.Add(2)
	first.Add(1)
	r, err := reader.Open(b.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	values, err := r.Load()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{}
	for _, e := range r.Entries() {
		got[r.Families()[e.Family].Name] = values[e.At]
	}
	if len(got) != 3 || got["first"] != 8 || got["waits"] != 3 || got["last"] != 2 {
		t.Errorf("a reader sees %v, want first 8, waits 3 and last 2", got)
	}
	if err := b.Degraded(); err != nil {
		t.Error(err)
	}
}
