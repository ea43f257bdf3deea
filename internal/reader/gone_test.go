//go:build unix

package reader

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/partition"
)

// replace appends a series whose cells hold the words given, and in front of it
// that another one is gone.
func replace(t *testing.T, p *partition.Partition, gone *partition.Run, family uint32, value string, words ...uint64) partition.Run {
	t.Helper()
	use := func(c []atomic.Uint64) {
		for i, w := range words {
			if c[i].Load() != 0 {
				t.Errorf("cell %d of a new series holds %d", i, c[i].Load())
			}
			c[i].Store(w)
		}
	}
	for {
		if r, ok := p.ReplaceSeries(gone, family, 1, []string{value}, len(words), use); ok {
			return r
		}
		if err := p.Grow(); err != nil {
			t.Fatal(err)
		}
	}
}

// recycle makes room of what is free, as if a minute had passed.
func recycle(t *testing.T, p *partition.Partition) {
	t.Helper()
	for range 2 { // collected, then rested
		if err := p.Recycle(time.Now(), 0); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	summaryFamily   = layout.Family{Type: layout.Summary, Name: "s", Help: "S.", LabelNames: []string{"a"}}
	histogramFamily = layout.Family{Type: layout.Histogram, Name: "h", Help: "H.", LabelNames: []string{"a"}, Bounds: []float64{1}}
	timedFamily     = layout.Family{Type: layout.Gauge, Mode: layout.MostRecent, Name: "g", Help: "G.", LabelNames: []string{"a"}}
)

// What is gone is not loaded any more: its cells are those of a family of another
// kind.
func TestCellsOfAnotherKind(t *testing.T) {
	p := owner(t)
	histograms := appendFamily(t, p, &histogramFamily)
	gauges := appendFamily(t, p, &timedFamily)
	counters := appendFamily(t, p, &layout.Family{Type: layout.Counter, Name: "c_total", Help: "C.", LabelNames: []string{"a"}})
	first := replace(t, p, nil, counters, "first", 1, 0)
	old := replace(t, p, nil, histograms, "old", layout.Commit(1, 0), 0, 5, 1, 0)
	f := open(t, p.Path())
	if diff := cmp.Diff(load(t, f)[2:], []uint64{1, 5, 1, 0}); diff != "" {
		t.Errorf("before (-got +want):\n%s", diff)
	}
	if !p.AppendGone(old, 1) || !p.AppendGone(first, 1) {
		t.Fatal("no room for a gone record")
	}
	p.Free(old)
	p.Free(first)
	recycle(t, p)
	replace(t, p, nil, gauges, "new", layout.Commit(3, 0), 0, 7, 0, 9) // no histogram: its buckets do not add up
	replace(t, p, nil, counters, "second", 2, 0)
	for _, f := range []*File{f, open(t, p.Path())} {
		values := load(t, f)
		got := map[string][]uint64{}
		for _, e := range f.Entries() {
			if !e.Gone {
				got[e.Values[0]] = values[e.At : e.At+f.Families()[e.Family].ValueWords()]
			}
		}
		want := map[string][]uint64{"new": {3, 7, 9}, "second": {2, 0}}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("afterwards (-got +want):\n%s", diff)
		}
		if got, want := f.Gone(), 2; got != want {
			t.Errorf("gone: got %d, want %d", got, want)
		}
	}
}

// A reader that was stopped between the log and the cells, for longer than cells
// rest, does not take what it finds there for what it expected.
func TestStoppedReader(t *testing.T) {
	p := owner(t)
	summaries := appendFamily(t, p, &summaryFamily)
	histograms := appendFamily(t, p, &histogramFamily)
	summary := replace(t, p, nil, summaries, "old", layout.Commit(1, 0), 0, 5)
	histogram := replace(t, p, nil, histograms, "old", layout.Commit(1, 0), 0, 5, 1, 0)
	f := open(t, p.Path())
	if err := f.Refresh(); err != nil {
		t.Fatal(err)
	}
	replace(t, p, &summary, summaries, "new", layout.Commit(2, 0), 6, 0)
	if !p.AppendGone(histogram, 1) {
		t.Fatal("no room for a gone record")
	}
	p.Free(summary)
	p.Free(histogram)
	recycle(t, p)
	replace(t, p, nil, summaries, "another", layout.Commit(8, 0), 9, 0)
	replace(t, p, nil, histograms, "another", layout.Commit(8, 0), 9, 0, 4, 0) // being written
	if _, err := f.Load(); err != nil {
		t.Fatal(err)
	}
	for _, e := range f.Entries() {
		if !e.Gone {
			t.Errorf("%q has values although it is gone", e.Values[0])
		}
	}
}

// What is shown of a series is its own, whatever becomes of its cells, also when they
// do not rest at all.
func TestChurn(t *testing.T) {
	most := 100_000
	if os.Getenv("MPMETRICS_SOAK") != "" {
		most = 1_000_000
	}
	sub, err := directory.Ensure(t.TempDir(), directory.Access{})
	if err != nil {
		t.Fatal(err)
	}
	startWriter(t, "churn", sub)
	names, err := filepath.Glob(filepath.Join(sub, "*"+layout.Extension))
	if err != nil || len(names) != 1 {
		t.Fatalf("files %v, error %v", names, err)
	}
	f := open(t, names[0])
	reads := 0
	for ; len(f.Entries()) < most; reads++ {
		values := load(t, f)
		there := 0
		for _, e := range f.Entries() {
			if e.Gone {
				continue
			}
			there++
			if got := fmt.Sprint(values[e.At]); got != e.Values[0] {
				t.Fatalf("series %s has the value of %s", e.Values[0], got)
			}
		}
		if there > churnLiving {
			t.Fatalf("%d series, at most %d were there at any time", there, churnLiving)
		}
	}
	// It would be two thousand for each if they were not used again.
	if f.cells > 40*churnLiving*layout.CounterWords {
		t.Errorf("%d cells for %d series", f.cells, churnLiving)
	}
	t.Logf("%d series came and went under %d readings", len(f.Entries()), reads)
}

// churnLiving is how many series there are at a time.
const churnLiving = 50

// churnForEver makes series and deletes them without pause. The value of each says
// which it is; the same cells are used again and again, at once.
func churnForEver(path string) error {
	p, err := partition.Create(path, layout.Header{PID: uint32(os.Getpid()), ID: layout.NewID(), Start: 1})
	if err != nil {
		return err
	}
	number, _ := p.AppendFamily(&layout.Family{Type: layout.Counter, Name: "c_total", Help: "C.", LabelNames: []string{"a"}})
	var runs []partition.Run
	for n := uint64(1); ; n++ {
		var gone *partition.Run
		if len(runs) == churnLiving {
			gone = &runs[0]
		}
		r, ok := p.ReplaceSeries(gone, number, 1, []string{fmt.Sprint(n)}, layout.CounterWords, func(c []atomic.Uint64) { c[0].Store(n) })
		if !ok {
			n--
			if err := p.Grow(); err != nil {
				return err
			}
			continue
		}
		if gone != nil {
			p.Free(*gone)
			runs = runs[1:]
		}
		runs = append(runs, r)
		if err := p.Recycle(time.Now(), 0); err != nil {
			return err
		}
		if n == churnLiving {
			ready()
		}
		if n%100 == 0 {
			time.Sleep(time.Millisecond) // the file must not grow without bounds
		}
	}
}
