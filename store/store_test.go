package store_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// all makes one instrument of each kind, with and without labels, and returns
// what updates all of them by one.
func all(s *store.Store) (update func()) {
	c, cv := s.NewCounter(counterOpts), s.NewCounterVec(prometheus.CounterOpts{Name: "cv_total", Help: "h"}, []string{"a"})
	g, gv := s.NewGauge(gaugeOpts), s.NewGaugeVec(prometheus.GaugeOpts{Name: "gv", Help: "h"}, []string{"a"}, store.Sum)
	recent := s.NewGauge(prometheus.GaugeOpts{Name: "recent", Help: "h"}, store.MostRecent)
	h, hv := s.NewHistogram(histogramOpts), s.NewHistogramVec(prometheus.HistogramOpts{Name: "hv", Help: "h"}, []string{"a"})
	sum, sv := s.NewSummary(summaryOpts), s.NewSummaryVec(prometheus.SummaryOpts{Name: "sv", Help: "h"}, []string{"a"})
	return func() {
		c.Inc()
		cv.WithLabelValues("x").Add(0.5)
		cv.WithLabelValues("x").Add(0.5)
		g.Inc()
		gv.WithLabelValues("x").Add(1)
		recent.Add(1)
		h.Observe(1)
		hv.WithLabelValues("x").Observe(1)
		sum.Observe(1)
		sv.WithLabelValues("x").Observe(1)
	}
}

// allAt is what they are after so many updates.
func allAt(n float64) map[string]float64 {
	return map[string]float64{
		"c_total": n, "cv_total/x": n, "g": n, "gv/x": n, "recent": n, "h": n, "hv/x": n, "s": n, "sv/x": n,
	}
}

// withoutSelf leaves the metrics about mpmetrics out.
func withoutSelf(m map[string]float64) map[string]float64 {
	m = maps.Clone(m)
	maps.DeleteFunc(m, func(name string, _ float64) bool { return strings.HasPrefix(name, "mpmetrics_") })
	return m
}

func TestOpenSaysWhy(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	loose := filepath.Join(dir, "loose")
	if err := os.MkdirAll(filepath.Join(loose, "mpmetrics"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(loose, "mpmetrics"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, location, text string }{
		{name: "a file", location: file, text: file},
		{name: "below a file", location: filepath.Join(file, "x"), text: file},
		{name: "a subdirectory open to others", location: loose, text: "chmod 0700"},
		{name: "a backend that is not there", location: "redis://localhost:6379/0", text: `"redis"`},
		{name: "a file URL of another host", location: "file://host/x", text: `"file"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := store.Open(store.Opts{Location: c.location})
			if err == nil {
				s.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.text) || !strings.HasPrefix(err.Error(), "open store: ") {
				t.Errorf("error %q, want one that says %q", err, c.text)
			}
		})
	}
}

func TestOpenLocations(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name     string
		location string
		env      map[string]string
		want     string
	}{
		{name: "a directory that is missing", location: filepath.Join(dir, "a", "b"), env: nil, want: filepath.Join(dir, "a", "b")},
		{name: "a file URL", location: "file://" + filepath.Join(dir, "u"), env: nil, want: filepath.Join(dir, "u")},
		{name: "memory", location: "memory:", env: map[string]string{store.EnvDir: filepath.Join(dir, "not")}, want: ""},
		{name: "nothing", location: "", env: nil, want: ""},
		{name: "the environment", location: "", env: map[string]string{store.EnvDir: filepath.Join(dir, "env")}, want: filepath.Join(dir, "env")},
		{
			name:     "the URL first",
			location: "",
			env:      map[string]string{store.EnvDir: filepath.Join(dir, "not"), store.EnvURL: "file://" + filepath.Join(dir, "url")},
			want:     filepath.Join(dir, "url"),
		},
		{
			name:     "Location first",
			location: filepath.Join(dir, "own"),
			env:      map[string]string{store.EnvDir: filepath.Join(dir, "not")},
			want:     filepath.Join(dir, "own"),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, v := range c.env {
				t.Setenv(name, v)
			}
			s := open(t, store.Opts{Location: c.location})
			if got := s.Location(); got != c.want {
				t.Errorf("directory: got %q, want %q", got, c.want)
			}
			want := 0
			if c.want != "" {
				want = 1
			}
			if got := len(files(c.want)); got != want {
				t.Errorf("files: got %d, want %d", got, want)
			}
			if err := s.Degraded(); err != nil {
				t.Errorf("degraded: %v", err)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "not")); err == nil {
		t.Error("a directory that nobody wanted was made")
	}
}

// After Close an update neither faults nor reaches the file, and the process
// itself still sees its own values go on.
func TestUseAfterClose(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(store.Opts{Location: dir})
	if err != nil {
		t.Fatal(err)
	}
	update := all(s)
	vec := s.NewCounterVec(prometheus.CounterOpts{Name: "later_total", Help: "h"}, []string{"a"})
	update()
	want := allAt(1)
	path := s.Path()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	delete(want, "g") // live: it left
	if diff := cmp.Diff(want, withoutSelf(mergedOf(t, dir))); diff != "" {
		t.Errorf("merged after Close (-want +got):\n%s", diff)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		update()
	}
	vec.WithLabelValues("new").Inc()
	s.NewCounter(prometheus.CounterOpts{Name: "new_total", Help: "h"}).Inc()
	vec.Reset()
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Error("the file has changed since Close")
	}
	if diff := cmp.Diff(want, withoutSelf(mergedOf(t, dir))); diff != "" {
		t.Errorf("merged after updates (-want +got):\n%s", diff)
	}
	own := allAt(101)
	own["new_total"] = 1
	if diff := cmp.Diff(own, merged(registry(s))); diff != "" {
		t.Errorf("the process's own view (-want +got):\n%s", diff)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// What was counted before Close began is in the file, however the updates of
// others and new definitions meet it.
func TestCloseUnderLoad(t *testing.T) {
	for round := range 20 {
		dir := t.TempDir()
		s, err := store.Open(store.Opts{Location: dir})
		if err != nil {
			t.Fatal(err)
		}
		update := all(s)
		update()
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for worker := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					update()
					s.NewCounter(prometheus.CounterOpts{Name: fmt.Sprintf("c%d_%d_total", worker, i), Help: "h"}).Inc()
				}
			})
		}
		for range round * 100 {
			update()
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		got := mergedOf(t, dir)
		if floor := float64(1 + round*100); got["c_total"] < floor || got["h"] < floor {
			t.Errorf("merged: %v and %v, want at least %v", got["c_total"], got["h"], floor)
		}
		close(stop)
		wg.Wait()
		if now := mergedOf(t, dir); now["c_total"] != got["c_total"] || now["h"] != got["h"] {
			t.Errorf("merged went from %v to %v after Close", got["c_total"], now["c_total"])
		}
	}
}

// A burst of new series overtakes the background work; Close brings all of them
// into the file.
func TestCloseTakesBurstAlong(t *testing.T) {
	const series = 30_000
	dir := t.TempDir()
	s, err := store.OpenIdle(store.Opts{Location: dir})
	if err != nil {
		t.Fatal(err)
	}
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	for i := range series {
		vec.WithLabelValues(fmt.Sprint("a rather long label value, number ", i)).Inc()
	}
	waiting := s.Pending()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got := withoutSelf(mergedOf(t, dir))
	if len(got) != series {
		t.Errorf("%d series in the file, want %d; %d waited in memory when Close began", len(got), series, waiting)
	}
	for name, v := range got {
		if v != 1 {
			t.Fatalf("%s: got %v, want 1", name, v)
		}
	}
}

// Series move from memory into the file while everybody counts on.
func TestBurstUnderLoad(t *testing.T) {
	const workers, series, rounds = 4, 1500, 4
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir})
	counters := s.NewCounterVec(counterOpts, []string{"a"})
	gauges := s.NewGaugeVec(gaugeOpts, []string{"a"}, store.Sum)
	histograms := s.NewHistogramVec(histogramOpts, []string{"a"})
	var wg sync.WaitGroup
	overtook := false
	for worker := range workers {
		wg.Go(func() {
			for range rounds {
				for i := range series {
					// All workers meet at the same series.
					value := fmt.Sprint("a rather long label value, number ", i)
					counters.WithLabelValues(value).Add(0.5)
					counters.WithLabelValues(value).Inc()
					gauges.WithLabelValues(value).Inc()
					histograms.WithLabelValues(value).Observe(1)
					if worker == 0 && i%100 == 0 && s.Pending() > 0 {
						overtook = true
					}
				}
			}
		})
	}
	wg.Wait()
	if !overtook {
		t.Log("no series was overtaken: nothing moved")
	}
	promtest.Eventually(t, "all series are published", func() bool { return s.Pending() == 0 })
	const n = workers * rounds
	check := func() map[string]float64 {
		wrong := map[string]float64{}
		got := withoutSelf(mergedOf(t, dir))
		if len(got) != 3*series {
			t.Fatalf("%d series, want %d", len(got), 3*series)
		}
		for name, v := range got {
			if want := map[byte]float64{'c': 1.5 * n, 'g': n, 'h': n}[name[0]]; v != want {
				wrong[name] = v
			}
		}
		return wrong
	}
	// A late increment on cells that were left is moved by the next tick.
	promtest.Eventually(t, "all increments are in the file", func() bool { return len(check()) == 0 })
	if own := testutil.ToFloat64(counters.WithLabelValues("a rather long label value, number 7")); own != 1.5*n {
		t.Errorf("own view: got %v, want %v", own, 1.5*n)
	}
}

// Two stores of one process are two processes to readers.
func TestTwoStores(t *testing.T) {
	dir := t.TempDir()
	all(open(t, store.Opts{Location: dir}))()
	all(open(t, store.Opts{Location: dir}))()
	if got, want := mergedOf(t, dir)["c_total"], 2.0; got != want {
		t.Errorf("merged: got %v, want %v", got, want)
	}
	if got, want := len(files(dir)), 2; got != want {
		t.Errorf("files: got %d, want %d", got, want)
	}
}

// Counting takes no memory: neither in plain memory nor in a file.
func TestUpdatesDoNotAllocate(t *testing.T) {
	for _, location := range []string{"memory:", t.TempDir()} {
		s := open(t, store.Opts{Location: location})
		c, g, h, sum := s.NewCounter(counterOpts), s.NewGauge(gaugeOpts), s.NewHistogram(histogramOpts), s.NewSummary(summaryOpts)
		recent := s.NewGauge(prometheus.GaugeOpts{Name: "recent", Help: "h"}, store.MostRecent)
		vec := s.NewCounterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, []string{"a"})
		for what, do := range map[string]func(){
			"Inc": c.Inc, "Add": func() { c.Add(2) }, "Add of a fraction": func() { c.Add(0.5) },
			"Set": func() { g.Set(3) }, "Gauge.Add": func() { g.Add(3) }, "Dec": g.Dec, "Set of a most-recent gauge": func() { recent.Set(1) },
			"Observe": func() { h.Observe(1) }, "Observe of a summary": func() { sum.Observe(1) },
			"WithLabelValues": func() { vec.WithLabelValues("x").Inc() },
		} {
			if n := testing.AllocsPerRun(1000, do); n != 0 {
				t.Errorf("%s at %s: %v allocations, want none", what, location, n)
			}
		}
	}
}
