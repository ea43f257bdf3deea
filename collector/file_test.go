package collector_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// A process that starts again under the same label goes on: nothing is reset,
// and its label stands once.
func TestRestartUnderSameLabelGoesOn(t *testing.T) {
	dir := t.TempDir()
	r := registryOf(t, dir)
	for round := 1.0; round <= 3; round++ {
		w := open(t, dir, "123")
		w.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"key"}).WithLabelValues("abc").Add(123)
		w.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, store.LiveAll).Set(round)
		want := samples{`c_total{key="abc"}`: 123 * round, `g{process="123"}`: round}
		equal(t, "while it runs", scrape(t, r), want)
		w.die()
		delete(want, `g{process="123"}`)
		equal(t, "after its end", scrape(t, r), want)
		equal(t, "for a new collector", fresh(t, dir), want)
	}
}

// longValues reads label values of these lengths back, among short ones.
func longValues(t *testing.T, lengths ...int) {
	t.Helper()
	dir := t.TempDir()
	vec := open(t, dir, "123").NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"key"})
	r := registryOf(t, dir)
	want := samples{}
	add := func(value string, n float64) {
		t.Helper()
		vec.WithLabelValues(value).Add(n)
		want[`c_total{key="`+value+`"}`] = n
		// A long record is published by the background work, which has to make
		// a slab for it first.
		eventually(t, func() bool { return len(scrape(t, r)) == len(want) })
	}
	add("abc", 42)
	for i, n := range lengths {
		add(strings.Repeat(string(rune('p'+i)), n), float64(123+i))
		add("short"+strings.Repeat("y", i), 17)
	}
	got := scrape(t, r)
	if len(got) != len(want) {
		t.Fatalf("%d samples, want %d", len(got), len(want))
	}
	for name, v := range want {
		if got[name] != v {
			t.Errorf("value of a key of %d bytes: got %v, want %v", len(name), got[name], v)
		}
	}
}

func TestLongLabelValue(t *testing.T) { longValues(t, 65_536) }

func TestSeveralLongLabelValues(t *testing.T) { longValues(t, 262_144, 65_536, 262_144) }

// A file whose first page is overwritten is an error of its own and of nobody
// else.
func TestOverwrittenFirstPage(t *testing.T) {
	dir := t.TempDir()
	o := prometheus.CounterOpts{Name: "c_total", Help: "h"}
	bad := open(t, dir, "123")
	bad.NewCounter(o).Add(42)
	damaged := files(t, dir)[0]
	bad.die()
	open(t, dir, "456").NewCounter(o).Add(1)
	f, err := os.OpenFile(damaged, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("\xde\xad\xbe\xef\xde\xad\xbe\xef"), 8); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r := registryWith(t, collector.Opts{Location: dir, NoAbsorption: true}) // which would put the file aside
	equal(t, "the good file alone", scrape(t, r), samples{"c_total": 1})
	self := scrapeSelf(t, r)
	holds(t, "about itself", self, samples{"mpmetrics_up": 1, `mpmetrics_files{state="unreadable"}`: 1})
	if n := sum(self, "mpmetrics_read_errors_total"); n != 1 {
		t.Errorf("read errors after two scrapes: got %v, want 1", n)
	}
}

// sum adds up the samples of a family.
func sum(all samples, family string) float64 {
	n := 0.0
	for _, v := range only(all, family) {
		n += v
	}
	return n
}

// Unlike the reference, no directory is no error: metrics are then plain
// in-process ones, and a collector of the store shows them.
func TestNoDirectoryIsMemory(t *testing.T) {
	t.Setenv(store.EnvDir, "")
	t.Setenv(store.EnvURL, "")
	s, err := store.Open(store.Opts{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.Location(); got != "" {
		t.Errorf("directory: got %q, want none", got)
	}
	s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
	r := prometheus.NewRegistry()
	r.MustRegister(collector.New(collector.Opts{Store: s}))
	equal(t, "through its collector", scrape(t, r), samples{"c_total": 1})
	holds(t, "about itself", scrapeSelf(t, r), samples{"mpmetrics_up": 1})
}

func TestLocationIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(path, []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(store.Opts{Location: path})
	if err == nil {
		s.Close()
		t.Fatal("no error for a location that is a file")
	}
	if !strings.Contains(err.Error(), path) {
		t.Errorf("error %q does not name %s", err, path)
	}
	// A collector of it says that it cannot read, and goes on.
	holds(t, "collector", scrapeSelf(t, registryOf(t, path)), samples{})
	if up := scrapeSelf(t, registryOf(t, path))["mpmetrics_up"]; up != 0 {
		t.Errorf("mpmetrics_up: got %v, want 0", up)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "not ours" {
		t.Errorf("the file now holds %q, %v", b, err)
	}
}
