package collector_test

// What somebody does to the file of a living process, and to the directory. Its
// owner looks once a second.

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// everything counts in instruments of all kinds, and again.
type everything struct {
	plain   prometheus.Counter
	vec     *prometheus.CounterVec
	gauge   prometheus.Gauge
	recent  prometheus.Gauge
	histo   *prometheus.HistogramVec
	summary prometheus.Summary
	rounds  float64
}

func newEverything(s *store.Store) *everything {
	return &everything{
		plain:   s.NewCounter(prometheus.CounterOpts{Name: "plain_total", Help: "h"}),
		vec:     s.NewCounterVec(prometheus.CounterOpts{Name: "vec_total", Help: "h"}, []string{"l"}),
		gauge:   s.NewGauge(prometheus.GaugeOpts{Name: "gauge", Help: "h"}),
		recent:  s.NewGauge(prometheus.GaugeOpts{Name: "recent", Help: "h"}, store.MostRecent),
		histo:   s.NewHistogramVec(prometheus.HistogramOpts{Name: "histo", Help: "h", Buckets: buckets}, []string{"l"}),
		summary: s.NewSummary(prometheus.SummaryOpts{Name: "summary", Help: "h"}),
	}
}

func (e *everything) count() {
	e.plain.Add(1.5)
	e.vec.WithLabelValues("x").Inc()
	e.gauge.Inc()
	e.rounds++
	e.recent.Set(e.rounds)
	e.histo.WithLabelValues("x").Observe(3)
	e.summary.Observe(2)
}

// want is what the merged output shows after so many rounds.
func (e *everything) want() samples {
	observed := make([]float64, int(e.rounds))
	for i := range observed {
		observed[i] = 3
	}
	return join(samples{
		"plain_total": 1.5 * e.rounds, `vec_total{l="x"}`: e.rounds, "gauge": e.rounds, "recent": e.rounds,
		"summary_count": e.rounds, "summary_sum": 2 * e.rounds,
	}, histogramSamples("histo", `{l="x"}`, observed...))
}

// shows waits until a scrape of a new collector shows what was counted.
func (e *everything) shows(t *testing.T, dir, what string) {
	t.Helper()
	want := e.want()
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := fresh(t, dir)
		if len(got) > 0 && time.Now().Before(limit) && got["plain_total"] != want["plain_total"] {
			continue
		}
		if len(got) == 0 && time.Now().Before(limit) {
			continue
		}
		equal(t, what, got, want)
		return
	}
}

// Whatever is done to the file, everything comes back within a tick or two,
// under the same name; a collector that has seen it shows no dip meanwhile.
func TestFileRemovedUnderItsProcess(t *testing.T) {
	for _, c := range []struct {
		name string
		take func(path string) error
	}{
		{"removed", os.Remove},
		{"moved away", func(path string) error { return os.Rename(path, filepath.Join(filepath.Dir(path), "away")) }},
		{"moved out", func(path string) error { return os.Rename(path, filepath.Join(filepath.Dir(path), "..", "away")) }},
		{"replaced by another", func(path string) error {
			other := path + ".other"
			if err := os.WriteFile(other, []byte("other"), 0o600); err != nil {
				return err
			}
			return os.Rename(other, path)
		}},
		{"replaced by a copy", func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.WriteFile(path, b, 0o600)
		}},
		{"replaced by a link", func(path string) error {
			if err := os.Remove(path); err != nil {
				return err
			}
			return os.Symlink("/dev/zero", path)
		}},
		{"subdirectory removed", func(path string) error { return os.RemoveAll(filepath.Dir(path)) }},
		{"directory removed", func(path string) error { return os.RemoveAll(filepath.Dir(filepath.Dir(path))) }},
		{"subdirectory moved away", func(path string) error { return os.Rename(filepath.Dir(path), filepath.Dir(path)+"-away") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "metrics")
			w := open(t, dir, "1")
			e := newEverything(w.Store)
			e.count()
			r := registryWith(t, collector.Opts{Location: dir, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)})
			equal(t, "before", scrape(t, r), e.want())
			path := pathOf(t, dir)
			before, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			for round := range 2 { // and once more: the new file is like the old one
				if err := c.take(path); err != nil {
					t.Fatal(err)
				}
				e.count()
				e.histo.WithLabelValues("x") // no new series
				last := 0.0
				for limit := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
					got := scrape(t, r)
					n, there := got["plain_total"]
					if there && n < last {
						t.Fatalf("plain_total from %v to %v", last, n)
					}
					last = max(last, n)
					if n == 1.5*e.rounds || time.Now().After(limit) {
						break
					}
				}
				equal(t, "afterwards", scrape(t, r), e.want())
				e.shows(t, dir, "for a new collector")
				after, err := os.Stat(path)
				if err != nil || os.SameFile(before, after) {
					t.Fatalf("round %d: the file is the same, or %v", round, err)
				}
				before = after
				e.count()
				equal(t, "counted on", scrape(t, r), e.want())
				if c.name == "subdirectory moved away" {
					if err := os.RemoveAll(filepath.Dir(path) + "-away"); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.die()
			want := e.want()
			delete(want, "gauge") // a live one
			equal(t, "dead", fresh(t, dir), want)
		})
	}
}

// A process that lives on with a file cut short keeps what is left of it; what
// is lost begins anew, and says so by its start timestamp. Readers survive.
func TestFileTruncatedUnderItsProcess(t *testing.T) {
	for _, left := range []int64{0, 100, 5 * layout.PageSize, 9 * layout.PageSize} {
		dir := t.TempDir()
		w := open(t, dir, "1")
		c := w.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
		h := w.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: buckets})
		c.Add(5)
		h.Observe(3)
		path := pathOf(t, dir)
		good(t, dir)
		r := registryWith(t, collector.Opts{Location: dir, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)})
		before := scrape(t, r)
		holds(t, "before", before, samples{"c_total": 5, "good_total": 41, "h_count": 1})
		begun := time.Now()
		if err := os.Truncate(path, left); err != nil {
			t.Fatal(err)
		}
		// Counting here would end the process, as the docs say, until it has noticed.
		holds(t, "cut short", scrape(t, r), samples{"good_total": 41})
		eventually(t, func() bool {
			info, err := os.Stat(path)
			return err == nil && info.Size() > 9*layout.PageSize
		})
		c.Inc()
		h.Observe(3)
		after := scrape(t, r)
		for _, name := range []string{"c_total", "h_count"} {
			if n := after[name]; n != before[name]+1 && n != 1 {
				t.Errorf("%d bytes left: %s is %v, want %v or 1", left, name, n, before[name]+1)
			}
		}
		if left == 0 {
			equal(t, "all of it lost", after, join(samples{"c_total": 1, "good_total": 41}, histogramSamples("h", "", 3)))
			m := find(t, promtest.Gather(t, r), "c_total").GetMetric()[0]
			if at := m.GetCounter().GetCreatedTimestamp().AsTime(); at.Before(begun) {
				t.Errorf("start timestamp %v, want one behind %v", at, begun)
			}
		}
	}
}
