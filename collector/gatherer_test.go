package collector_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// gathererOf puts a local registry and a directory together.
func gathererOf(t testing.TB, local prometheus.Gatherer, o collector.Opts) prometheus.Gatherer {
	t.Helper()
	g := collector.NewGatherer(local, o)
	t.Cleanup(func() { g.Close() })
	return g
}

// The default registry has a Go collector; another process may publish its own.
// The merged family is shown, the local one is left out and counted once.
func TestGathererOverlap(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, "1")
	w.NewGauge(prometheus.GaugeOpts{Name: "go_goroutines", Help: "h"}, store.LiveSum).Set(-7)
	w.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
	w.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1}}).Observe(1)

	local := prometheus.NewRegistry()
	local.MustRegister(collectors.NewGoCollector())
	for name, v := range map[string]float64{"alone": 3, "h_count": 4} {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "local"})
		g.Set(v)
		local.MustRegister(g)
	}
	g := gathererOf(t, local, collector.Opts{Location: dir})
	got := promtest.Flatten(promtest.Gather(t, g))
	holds(t, "both", got, samples{"go_goroutines": -7, "c_total": 1, "alone": 3, "h_count": 1, "mpmetrics_up": 1})
	if _, there := got["go_threads"]; !there {
		t.Error("families that do not overlap are missing")
	}
	for range 2 {
		holds(t, "counted", promtest.Flatten(promtest.Gather(t, g)), samples{`mpmetrics_conflicts_total{reason="overlap"}`: 2})
	}
}

// The families stand in one order and no name stands twice.
func TestGathererOrder(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, "1")
	local := prometheus.NewRegistry()
	for _, name := range []string{"b", "d", "z_last"} {
		w.NewGauge(prometheus.GaugeOpts{Name: name, Help: "h"})
	}
	for _, name := range []string{"a", "b", "c", "e"} {
		local.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "h"}))
	}
	var names []string
	for _, f := range promtest.Gather(t, gathererOf(t, local, collector.Opts{Location: dir})) {
		if !isSelf(f.GetName()) {
			names = append(names, f.GetName())
		}
	}
	if want := []string{"a", "b", "c", "d", "e", "z_last"}; !slices.Equal(names, want) {
		t.Errorf("families: got %v, want %v", names, want)
	}
}

// With nothing configured there is nothing to merge: the store's metrics and
// the local ones stand side by side.
func TestGathererInMemory(t *testing.T) {
	s, err := store.Open(store.Opts{Location: "memory:"})
	if err != nil {
		t.Fatal(err)
	}
	s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
	local := prometheus.NewRegistry()
	local.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}))
	equal(t, "both", scrape(t, gathererOf(t, local, collector.Opts{Store: s})), samples{"c_total": 1, "g": 0})
}

// An error of the local registry is passed on, with what there is.
func TestGathererLocalError(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, "1").NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
	broken := errors.New("broken")
	local := prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) { return nil, broken })
	families, err := gathererOf(t, local, collector.Opts{Location: dir}).Gather()
	if !errors.Is(err, broken) {
		t.Errorf("error: got %v, want %v", err, broken)
	}
	holds(t, "merged all the same", promtest.Flatten(families), samples{"c_total": 1})
}

// A location that cannot be collected is said once, and shows in mpmetrics_up.
func TestUnusableLocation(t *testing.T) {
	for _, location := range []string{"memory:", "redis://localhost/"} {
		r := prometheus.NewRegistry()
		c := collector.New(collector.Opts{Location: location})
		defer c.Close()
		r.MustRegister(c)
		if up, there := promtest.Flatten(promtest.Gather(t, r))["mpmetrics_up"]; up != 0 || !there {
			t.Errorf("%s: mpmetrics_up: got %v (there: %v), want 0", location, up, there)
		}
	}
}

// Names of merged families stay taken while a scrape is incomplete: the count of this process alone
// would be a dip of the total. Before the first complete scrape no local count is shown.
func TestGathererShowsNoLocalCountInPlaceOfTheTotal(t *testing.T) {
	dir := t.TempDir()
	local := prometheus.NewRegistry()
	var own *store.Store
	for _, value := range []float64{990, 10} {
		s := open(t, dir, fmt.Sprint(value))
		own = s.Store
		all := []prometheus.Collector{
			prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "requests_total", Help: "h"}, func() float64 { return value }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "open", Help: "h"}, func() float64 { return value }),
		}
		s.Registerer().MustRegister(all...)
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if value == 10 {
			local.MustRegister(all...)
		}
	}
	local.MustRegister(
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "local_total", Help: "h"}, func() float64 { return 5 }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "local", Help: "h"}, func() float64 { return 6 }),
	)
	o := collector.Opts{Store: own, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)}
	g := gathererOf(t, local, o)
	o.Timeout = 1 // nothing is read in a nanosecond
	hasty := gathererOf(t, local, o)

	shown := func(g prometheus.Gatherer) samples {
		out := samples{}
		for name, v := range promtest.Flatten(promtest.Gather(t, g)) {
			if !strings.HasPrefix(name, "mpmetrics_") || name == "mpmetrics_up" {
				out[name] = v
			}
		}
		return out
	}
	equal(t, "incomplete from the start", shown(hasty), samples{"mpmetrics_up": 0, "open": 10, "local": 6})
	complete := samples{"mpmetrics_up": 1, "requests_total": 1000, "open": 1000, "local_total": 5, "local": 6}
	equal(t, "complete", shown(g), complete)
	if err := os.RemoveAll(filepath.Join(dir, layout.Subdirectory)); err != nil {
		t.Fatal(err)
	}
	incomplete := shown(g)
	delete(incomplete, "open") // some of the gauges may be there
	equal(t, "incomplete", incomplete, samples{"mpmetrics_up": 0, "local_total": 5, "local": 6})
}
