package collector_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/store"
)

// The tests of this file change files behind the back of their owners. In each
// the counter of another process must stay exact.

// pathOf is the file of the only process in a directory.
func pathOf(t *testing.T, dir string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, layout.Subdirectory, "*"+layout.Extension))
	if err != nil || len(paths) != 1 {
		t.Fatalf("files %v, %v, want one", paths, err)
	}
	return paths[0]
}

// body returns where the body of the first slab of a kind is in a file.
func body(t *testing.T, file []byte, kind layout.SlabKind) int {
	t.Helper()
	for at := layout.ValueOffset; at < len(file); at += layout.PageSize {
		if h, err := layout.DecodeSlab(file[at:]); err == nil && h.Kind == kind {
			return at + layout.SlabHeaderBytes
		}
	}
	t.Fatalf("no slab of %v", kind)
	return 0
}

// tamper changes a file in place: its inode stays.
func tamper(t *testing.T, path string, change func(file []byte)) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change(file)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(file, 0); err != nil {
		t.Fatal(err)
	}
}

// appendRecords writes records behind those of the log.
func appendRecords(t *testing.T, file []byte, payloads ...[]byte) {
	t.Helper()
	at := body(t, file, layout.LogSlab)
	for {
		n := layout.RecordLength(binary.NativeEndian.Uint64(file[at:]))
		if n == 0 {
			break
		}
		at += layout.RecordBytes(int(n))
	}
	for _, p := range payloads {
		binary.NativeEndian.PutUint64(file[at:], layout.RecordWord(p))
		copy(file[at+layout.RecordWordBytes:], p)
		at += layout.RecordBytes(len(p))
	}
}

func good(t *testing.T, dir string) *writer {
	t.Helper()
	w := open(t, dir, "good")
	w.NewCounter(prometheus.CounterOpts{Name: "good_total", Help: "h"}).Add(41)
	return w
}

// A histogram that does not add up is damage, and not a file that is busy:
// otherwise it would take the counters of all processes away for ever.
func TestHistogramThatDoesNotAddUp(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, "bad")
	w.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1}}).Observe(1)
	w.die()
	tamper(t, pathOf(t, dir), func(file []byte) {
		cells := body(t, file, layout.CellSlab)
		binary.NativeEndian.PutUint64(file[cells+layout.BucketWord*layout.WordBytes:], 7)
	})
	good(t, dir)
	r := registryOf(t, dir)
	for range 2 {
		holds(t, "all", scrape(t, r), samples{"good_total": 41})
		holds(t, "self", scrapeSelf(t, r), samples{"mpmetrics_up": 1, `mpmetrics_read_errors_total{reason="damaged"}`: 1})
	}
}

// Records that all name the same cells would let a small file cost a reader
// any amount of memory.
func TestCellsThatAreNamedAgain(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, "bad")
	w.NewHistogramVec(prometheus.HistogramOpts{
		Name: "h", Help: "h", Buckets: prometheus.LinearBuckets(1, 1, 500),
	}, []string{"a"}).WithLabelValues("x").Observe(1)
	w.die()
	tamper(t, pathOf(t, dir), func(file []byte) {
		var records [][]byte
		for n := range 10 { // the slab has room for two or three
			records = append(records, layout.AppendSeries(nil, &layout.Series{
				Number: uint32(n + 1), Place: layout.Place{Slab: 1}, Values: []string{strconv.Itoa(n)},
			}))
		}
		appendRecords(t, file, records...)
	})
	good(t, dir)
	r := registryOf(t, dir)
	equal(t, "all", scrape(t, r), samples{"good_total": 41})
	holds(t, "self", scrapeSelf(t, r), samples{"mpmetrics_up": 1, `mpmetrics_read_errors_total{reason="damaged"}`: 1})
}

// A series that its owner declares gone leaves the scrape, also that of a
// collector which has shown it already.
func TestGoneSeries(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, "1")
	vec := w.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"a"})
	vec.WithLabelValues("x").Add(7)
	vec.WithLabelValues("y").Add(1)
	r := registryOf(t, dir)
	equal(t, "before", scrape(t, r), samples{`c_total{a="x"}`: 7, `c_total{a="y"}`: 1})
	tamper(t, pathOf(t, dir), func(file []byte) {
		appendRecords(t, file, layout.AppendGone(nil, layout.Gone{Series: 0, Time: 1}))
	})
	equal(t, "afterwards", scrape(t, r), samples{`c_total{a="y"}`: 1})
	equal(t, "afterwards, by another", fresh(t, dir), samples{`c_total{a="y"}`: 1})
}

// A backup that links files must not freeze them; a second name among ours is
// no second process.
func TestHardLinks(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, "1").NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
	c.Add(5)
	r := registryOf(t, dir)
	equal(t, "before", scrape(t, r), samples{"c_total": 5})
	path := pathOf(t, dir)
	if err := os.Link(path, filepath.Join(dir, "backup")); err != nil {
		t.Fatal(err)
	}
	second := filepath.Join(filepath.Dir(path), layout.FileName(1, layout.NewID()))
	if err := os.Link(path, second); err != nil {
		t.Fatal(err)
	}
	c.Inc()
	equal(t, "linked", scrape(t, r), samples{"c_total": 6})
	equal(t, "linked, by another", fresh(t, dir), samples{"c_total": 6})
	holds(t, "self", scrapeSelf(t, r), samples{"mpmetrics_up": 1, `mpmetrics_read_errors_total{reason="copy"}`: 1})
}

// A directory is where it was when it was named, wherever the process goes.
func TestRelativeDirectory(t *testing.T) {
	t.Chdir(t.TempDir())
	s, err := store.Open(store.Opts{Location: "metrics"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := collector.New(collector.Opts{Store: s})
	defer c.Close()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
	t.Chdir(t.TempDir())
	equal(t, "elsewhere", scrape(t, r), samples{"c_total": 1})
}

// The usual way to fill a gauge vec anew: what was made again is what it is
// now, and not added to what it was.
func TestGaugeThatIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	r := registryOf(t, dir)
	for _, mode := range []store.MergeMode{store.LiveSum, store.Max, store.MostRecent, store.All} {
		g := open(t, dir, "1").NewGaugeVec(prometheus.GaugeOpts{Name: "depth_" + mode.String(), Help: "h"}, []string{"q"}, mode)
		for _, depth := range []float64{10, 30, 20} {
			g.Reset()
			g.WithLabelValues("x").Set(depth)
			var got float64
			for name, v := range scrape(t, r) {
				if strings.HasPrefix(name, "depth_"+mode.String()) {
					got += v
				}
			}
			if got != depth {
				t.Errorf("%v: got %v, want %v", mode, got, depth)
			}
		}
	}
}
