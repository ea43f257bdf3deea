//go:build unix

package reader

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
)

// replace appends a series whose cells hold the words given, and in front of it
// that another one is gone.
func replace(t *testing.T, p *ownerfile.File, gone *ownerfile.Run, family uint32, value string, words ...uint64) ownerfile.Run {
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
func recycle(t *testing.T, p *ownerfile.File) {
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
	replace(t, p, nil, histograms, "another", layout.Commit(4, 0), 9, 0, 0, 4)
	values, err := f.Load()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]uint64{"s new": {2, 6}, "s another": {8, 9}, "h another": {4, 9, 0, 4}}
	got := map[string][]uint64{}
	for _, e := range f.Entries() {
		if family := f.Families()[e.Family]; !e.Gone {
			got[family.Name+" "+e.Values[0]] = values[e.At : e.At+family.ValueWords()]
		}
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("values (-got +want):\n%s", diff)
	}
}

// What is shown of a series is its own, whatever becomes of its cells, also when they
// do not rest at all.
func TestChurn(t *testing.T) {
	most := 100_000
	if effort.Soak() {
		most = 1_000_000
	}
	sub, err := directory.Ensure(t.TempDir(), directory.Access{})
	if err != nil {
		t.Fatal(err)
	}
	startWriter(t, "churn", sub)
	f := open(t, published(t, sub))
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

// published is the path of the only file.
func published(t *testing.T, sub string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(sub, "*"+layout.Extension))
	if err != nil || len(names) != 1 {
		t.Fatalf("files %v, error %v", names, err)
	}
	return names[0]
}

// window returns the first and the last of the series that are there, and checks
// that they are all of those in between, each with its own value.
func window(t *testing.T, f *File, values []uint64) (first, last uint64) {
	t.Helper()
	for _, e := range f.Entries() {
		if e.Gone {
			continue
		}
		n, err := strconv.ParseUint(e.Values[0], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if values[e.At] != n {
			t.Fatalf("series %d has the value of %d", n, values[e.At])
		}
		if first == 0 {
			first = n
		} else if n != last+1 {
			t.Fatalf("series %d behind %d", n, last)
		}
		last = n
	}
	return first, last
}

// The log is written anew beside a reader, again and again: every reading finds all
// that is there, and later ones find no less. Killed at any moment, the owner leaves
// all series but the one that it was replacing.
func TestLogWrittenAnew(t *testing.T) {
	kills := 20
	if effort.Soak() {
		kills = 2000
	}
	var readings, replaced int
	for range kills {
		sub, err := directory.Ensure(t.TempDir(), directory.Access{})
		if err != nil {
			t.Fatal(err)
		}
		kill := startWriter(t, "anew", sub)
		path := published(t, sub)
		f, err := Open(path)
		for errors.Is(err, ErrReplaced) { // the log is written anew without pause
			f, err = Open(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		var last uint64
		stop := time.Now().Add(rand.N(300 * time.Millisecond))
		for ; time.Now().Before(stop); readings++ {
			err := f.Reopen(0)
			if err == nil {
				err = f.Refresh()
			}
			var values []uint64
			if err == nil {
				values, err = f.Load()
			}
			for try := 1; errors.Is(err, ErrReplaced) && try <= 3; try++ {
				f.Close()
				var again *File
				if again, err = Open(path); err == nil {
					f = again
					values, err = f.Load()
				}
				replaced++
			}
			if err != nil {
				t.Fatal(err)
			}
			first, now := window(t, f, values)
			if now == 0 {
				continue // all of them were replaced while they were loaded
			}
			if now < last || now-first+1 > churnLiving {
				t.Fatalf("series %d to %d, before up to %d", first, now, last)
			}
			last = now
		}
		kill()
		f.Close()
		f = open(t, path)
		first, end := window(t, f, load(t, f))
		if n := end - first + 1; end < last || n != churnLiving && n != churnLiving-1 {
			t.Fatalf("after the kill series %d to %d, before up to %d", first, end, last)
		}
		if size := f.Size(); size > 8<<20 {
			t.Errorf("the file has %d bytes after %d series", size, end)
		}
	}
	t.Logf("%d kills, %d readings, %d times the log was another one", kills, readings, replaced)
}

// churnLiving is how many series there are at a time.
const churnLiving = 50

// churnForEver makes series and deletes them without pause. The value of each says
// which it is; the same cells are used again and again, at once.
func churnForEver(path string) error { return churn(path, 0, false) }

// anewForEver writes the log anew whenever it is worth it, too.
func anewForEver(path string) error { return churn(path, 300*time.Millisecond, true) }

func churn(path string, rest time.Duration, anew bool) error {
	p, err := ownerfile.Create(path, layout.Header{PID: uint32(os.Getpid()), ID: layout.NewID(), Start: 1})
	if err != nil {
		return err
	}
	number, _ := p.AppendFamily(&layout.Family{Type: layout.Counter, Name: "c_total", Help: "C.", LabelNames: []string{"a"}})
	var runs []ownerfile.Run
	for n := uint64(1); ; n++ {
		var gone *ownerfile.Run
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
		if err := p.Recycle(time.Now(), rest); err != nil {
			return err
		}
		if anew {
			if err := p.Rewrite(time.Now()); err != nil {
				return err
			}
		}
		if n == churnLiving {
			ready()
		}
		if n%100 == 0 {
			time.Sleep(time.Millisecond) // the file must not grow without bounds
		}
	}
}
