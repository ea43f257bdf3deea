package collector_test

// Cases where client_python fails: files that are not
// whole, processes that are killed, identities that meet.

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() {
	// gauge sets a live gauge and counts, then waits to be killed.
	programs["gauge"] = func(c *child) {
		store.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, store.LiveSum).Set(4)
		store.NewGauge(prometheus.GaugeOpts{Name: "kept", Help: "h"}, store.Sum).Set(4)
		store.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Add(3)
		c.say("ready")
		c.wait()
	}
	// create makes one file after the other, and says so.
	programs["create"] = func(c *child) {
		c.say("ready")
		for {
			s, err := store.Open(store.Opts{})
			if err != nil {
				c.say("%v", err)
				return
			}
			s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
			s.Close()
		}
	}
}

// Files that are not whole are left out and counted, once each; names
// that are not ours are not even opened.
func TestBadFilesAreSkippedAndCounted(t *testing.T) {
	dir := t.TempDir()
	good := open(t, dir, "123")
	good.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Add(41)
	good.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: buckets}).Observe(3)
	whole, err := os.ReadFile(files(t, dir)[0])
	if err != nil {
		t.Fatal(err)
	}
	r := registryWith(t, collector.Opts{Location: dir, NoAbsorption: true}) // an absorption puts the files aside
	want := join(samples{"c_total": 41}, histogramSamples("h", "", 3))
	equal(t, "before", scrape(t, r), want)

	sub := filepath.Join(dir, layout.Subdirectory)
	put := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(sub, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bad := map[string][]byte{
		"empty":                       nil,
		"0xff":                        bytes.Repeat([]byte{0xff}, 100),
		"header in 64 bytes":          whole[:64],
		"two meta pages":              whole[:2*layout.PageSize],
		"all but the last page":       whole[:len(whole)-layout.PageSize],
		"a copy of another":           whole,
		"zeros":                       make([]byte, 1<<16),
		"metas that point to nowhere": append(bytes.Clone(whole[:2*layout.PageSize]), make([]byte, 1<<16)...),
	}
	pid := 1000 // every name is well-formed: what is inside decides
	for _, content := range bad {
		put(layout.FileName(pid, layout.NewID()), content)
		pid++
	}
	put("readme.txt", []byte("what is this?"))
	put("1-x.mpm", []byte("not a name of ours"))
	put(layout.FileName(7, layout.NewID())+layout.TemporaryExtension, whole[:100])

	for range 3 {
		equal(t, "the good file", scrape(t, r), want)
	}
	self := scrapeSelf(t, r)
	holds(t, "about itself", self, samples{
		"mpmetrics_up": 1, `mpmetrics_files{state="unreadable"}`: float64(len(bad)), `mpmetrics_files{state="live"}`: 1,
	})
	if self[`mpmetrics_read_errors_total{reason="copy"}`] == 0 {
		t.Errorf("the copy was not recognized as one: %v", self)
	}
	if got, want := sum(self, "mpmetrics_read_errors_total"), float64(len(bad)); got != want {
		t.Errorf("read errors after four scrapes: got %v, want %v: %v", got, want, self)
	}
	equal(t, "for a new collector", fresh(t, dir), want)
}

// A file that is damaged under its owner is frozen at its last good values. Its
// live gauges leave with its owner all the same.
func TestFileDamagedUnderItsProcess(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, "123")
	w.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Add(41)
	w.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, store.LiveAll).Set(1)
	r := registryOf(t, dir)
	want := samples{"c_total": 41, `g{process="123"}`: 1}
	equal(t, "before", scrape(t, r), want)
	f, err := os.OpenFile(files(t, dir)[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 2*layout.PageSize), 0); err != nil { // both metas
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	equal(t, "damaged", scrape(t, r), want)
	holds(t, "about itself", scrapeSelf(t, r), samples{
		"mpmetrics_up": 1, `mpmetrics_files{state="kept"}`: 1, `mpmetrics_files_skipped{reason="damaged"}`: 1,
	})
	w.die()
	delete(want, `g{process="123"}`)
	equal(t, "dead", scrape(t, r), want)
}

// No text in a file can make a scrape fail: a label value that is no UTF-8
// would.
func TestProcessLabelOfInvalidUTF8(t *testing.T) {
	for _, name := range []string{"\xff", strings.Repeat("é", 150), "a\xffb"} {
		dir := t.TempDir()
		for v := range 2 {
			open(t, dir, name).NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, store.All).Set(float64(v))
		}
		if got := scrape(t, registryOf(t, dir)); len(got) != 2 {
			t.Errorf("process label %q: got %v, want two samples", name, got)
		}
	}
}

// forge writes a file that our constructors would not: any family, with one
// series.
func forge(t testing.TB, dir string, f layout.Family) {
	t.Helper()
	sub, err := directory.Ensure(dir, directory.Access{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ownerfile.Create(sub, layout.Header{PID: 1, ID: layout.NewID(), Start: time.Now().UnixNano()})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	number, ok := p.AppendFamily(&f)
	if !ok || !p.AppendSeries(number, 1, make([]string, len(f.LabelNames)), f.CellWords(), func([]atomic.Uint64) {}) {
		t.Fatal("no room in a new file")
	}
}

// A file that defines the metrics about mpmetrics itself, of another type,
// would make the registry refuse every scrape.
func TestFileWithReservedNames(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, "123").NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
	for name := range scrapeSelf(t, registryOf(t, dir)) {
		name, _, _ := strings.Cut(name, "{")
		for _, typ := range []layout.Type{layout.Counter, layout.Histogram} {
			forge(t, dir, layout.Family{Type: typ, Name: name, Help: "forged"})
		}
	}
	r := registryOf(t, dir)
	equal(t, "the good file", scrape(t, r), samples{"c_total": 1})
	holds(t, "about itself", scrapeSelf(t, r), samples{"mpmetrics_up": 1, `mpmetrics_files{state="live"}`: 1})
}

// Killed at any moment of its birth a file is whole or not there.
func TestSIGKILLDuringCreation(t *testing.T) {
	dir := t.TempDir()
	r := registryWith(t, collector.Opts{Location: dir, NoAbsorption: true}) // the files are counted
	const kills = 12
	previous := 0.0
	for i := range kills {
		p := spawn(t, "create", store.EnvDir+"="+dir)
		p.Line()
		time.Sleep(time.Duration(i) * 997 * time.Microsecond) // a random point, not a wait
		p.Kill()
		n := scrape(t, r)["c_total"]
		if n < previous {
			t.Fatalf("total went from %v to %v", previous, n)
		}
		previous = n
	}
	self := scrapeSelf(t, r)
	holds(t, "about itself", self, samples{"mpmetrics_up": 1})
	if n := sum(self, "mpmetrics_read_errors_total"); n != 0 {
		t.Errorf("half-made files were seen: %v", self)
	}
	if whole := float64(len(files(t, dir))); previous > whole || previous < whole-kills {
		t.Errorf("%v files, %v increments: want one for each but for those killed before theirs", whole, previous)
	}
}

// Count, sum and buckets of a histogram are of one instant. Only the value
// 1 is observed, so all of them are the same number.
func TestHistogramOfOneInstantUnderLoad(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir, "123").NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{0.5, 1, 2}})
	s := open(t, dir, "456").NewSummary(prometheus.SummaryOpts{Name: "s", Help: "h"})
	r := registryOf(t, dir)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					h.Observe(1)
					s.Observe(1)
				}
			}
		})
	}
	defer wg.Wait()
	defer close(stop)
	var last float64
	accepted := 0
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		got := scrape(t, r)
		n, there := got["h_count"]
		if !there {
			continue // left out: too busy, not wrong
		}
		accepted++
		equal(t, "one scrape", got, samples{
			`h_bucket{le="0.5"}`: 0, `h_bucket{le="1"}`: n, `h_bucket{le="2"}`: n, `h_bucket{le="+Inf"}`: n, "h_count": n, "h_sum": n,
			"s_count": got["s_count"], "s_sum": got["s_count"],
		})
		if n < last {
			t.Errorf("count went from %v to %v", last, n)
		}
		last = n
		if t.Failed() {
			return
		}
	}
	if accepted < 5 || last == 0 {
		t.Errorf("%d scrapes, last count %v: too few to say anything", accepted, last)
	}
}

// The start timestamp is the oldest of the living and the dead, and does
// not move when processes come and go.
func TestStartTimestampIsTheOldest(t *testing.T) {
	dir := t.TempDir()
	r := registryOf(t, dir)
	define := func(w *writer) {
		w.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
		w.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h"}).Observe(1)
		w.NewSummary(prometheus.SummaryOpts{Name: "s", Help: "h"}).Observe(1)
	}
	created := func(g prometheus.Gatherer) map[string]time.Time {
		t.Helper()
		out := map[string]time.Time{}
		for _, f := range promtest.Gather(t, g) {
			for _, m := range f.Metric {
				if at := createdOf(m); !at.IsZero() && !isSelf(f.GetName()) {
					out[f.GetName()] = at
				}
			}
		}
		return out
	}
	before := time.Now()
	first := open(t, dir, "1")
	define(first)
	oldest := created(r)
	if len(oldest) != 3 {
		t.Fatalf("start timestamps of %v, want three", oldest)
	}
	for name, at := range oldest {
		if at.Before(before) || at.After(time.Now()) {
			t.Errorf("%s was created at %v, want a time since %v", name, at, before)
		}
	}
	second := open(t, dir, "2")
	define(second)
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"with a younger process", func() {}},
		{"with the oldest dead", first.die},
		{"with all dead", second.die},
		{"with a new one", func() { define(open(t, dir, "3")) }},
	} {
		step.do()
		if diff := cmp.Diff(oldest, created(r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
		if diff := cmp.Diff(oldest, created(registryOf(t, dir))); diff != "" {
			t.Errorf("%s, for a new collector (-want +got):\n%s", step.what, diff)
		}
	}
}

// createdOf returns the start timestamp of a metric, zero if it has none.
func createdOf(m *dto.Metric) time.Time {
	switch {
	case m.Counter.GetCreatedTimestamp() != nil:
		return m.Counter.GetCreatedTimestamp().AsTime()
	case m.Histogram.GetCreatedTimestamp() != nil:
		return m.Histogram.GetCreatedTimestamp().AsTime()
	case m.Summary.GetCreatedTimestamp() != nil:
		return m.Summary.GetCreatedTimestamp().AsTime()
	}
	return time.Time{}
}

// Two containers with the same pid are two processes: two files, two
// samples. Both stores here are of one pid and have one label.
func TestTwoProcessesWithOnePidAndLabel(t *testing.T) {
	dir := t.TempDir()
	o := prometheus.GaugeOpts{Name: "g", Help: "h"}
	c := prometheus.CounterOpts{Name: "c_total", Help: "h"}
	first, second := open(t, dir, "1"), open(t, dir, "1")
	for i, w := range []*writer{first, second} {
		w.NewGauge(o, store.All).Set(float64(10 * (i + 1)))
		w.NewCounter(c).Inc()
	}
	found := files(t, dir)
	if len(found) != 2 || strings.Split(filepath.Base(found[0]), "-")[0] != strings.Split(filepath.Base(found[1]), "-")[0] {
		t.Fatalf("files %v, want two with one pid", found)
	}
	r := registryOf(t, dir)
	want := samples{`g{process="1"}`: 10, `g{process="1-2"}`: 20, "c_total": 2}
	equal(t, "both", scrape(t, r), want)
	equal(t, "for a new collector", fresh(t, dir), want)
	// A label that looks like a suffix is somebody's own.
	third := open(t, dir, "1-2")
	third.NewGauge(o, store.All).Set(30)
	want = samples{`g{process="1"}`: 10, `g{process="1-3"}`: 20, `g{process="1-2"}`: 30, "c_total": 2}
	equal(t, "with a label like a suffix", scrape(t, r), want)
	equal(t, "with a label like a suffix, for a new collector", fresh(t, dir), want)
	// The living come first.
	first.die()
	want = samples{`g{process="1"}`: 20, `g{process="1-3"}`: 10, `g{process="1-2"}`: 30, "c_total": 2}
	equal(t, "with the first dead", scrape(t, r), want)
	equal(t, "with the first dead, for a new collector", fresh(t, dir), want)
}

// Nobody has to report a death. The kernel drops the lock, and the next
// scrape sees that.
func TestSIGKILLEndsLiveGauge(t *testing.T) {
	dir := t.TempDir()
	r := registryWith(t, collector.Opts{Location: dir, NoAbsorption: true})
	p := spawn(t, "gauge", store.EnvDir+"="+dir, store.EnvProcess+"=7")
	p.Line()
	equal(t, "alive", scrape(t, r), samples{"g": 4, "kept": 4, "c_total": 3})
	holds(t, "alive", scrapeSelf(t, r), samples{`mpmetrics_processes{state="live"}`: 1})
	p.Kill()
	equal(t, "killed", scrape(t, r), samples{"kept": 4, "c_total": 3})
	holds(t, "killed", scrapeSelf(t, r), samples{`mpmetrics_processes{state="dead"}`: 1})
	equal(t, "killed, for a new collector", fresh(t, dir), samples{"kept": 4, "c_total": 3})
}

// A gauge that is deleted in one process is that of the others, and gone when all have deleted it. A
// counter that others have stays as it is, and so does a counter that the dead had.
func TestDeletionInOneOfTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	gauges := func(w *writer) *prometheus.GaugeVec {
		return w.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, []string{"l"}, store.LiveSum)
	}
	counters := func(w *writer) *prometheus.CounterVec {
		return w.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"l"})
	}
	dead := open(t, dir, "0")
	counters(dead).WithLabelValues("a").Add(100)
	dead.die()
	one, two := open(t, dir, "1"), open(t, dir, "2")
	g1, g2, c1, c2 := gauges(one), gauges(two), counters(one), counters(two)
	g1.WithLabelValues("a").Set(5)
	g2.WithLabelValues("a").Set(3)
	c1.WithLabelValues("a").Add(20)
	c2.WithLabelValues("a").Add(3)
	c1.WithLabelValues("mine").Add(7)
	r := registryOf(t, dir)
	becomes := func(what string, want samples) {
		t.Helper()
		eventually(t, func() bool { return cmp.Equal(scrape(t, r), want) })
		equal(t, what+", for a new collector", fresh(t, dir), want)
	}
	becomes("before", samples{`g{l="a"}`: 8, `c_total{l="a"}`: 123, `c_total{l="mine"}`: 7})
	g1.DeleteLabelValues("a")
	c1.Reset()
	becomes("deleted in one", samples{`g{l="a"}`: 3, `c_total{l="a"}`: 123})
	c1.WithLabelValues("a").Inc()
	becomes("made again", samples{`g{l="a"}`: 3, `c_total{l="a"}`: 124})
	g2.DeletePartialMatch(prometheus.Labels{"l": "a"})
	c2.Reset()
	c1.Reset()
	becomes("deleted in both", samples{`c_total{l="a"}`: 124})
}
