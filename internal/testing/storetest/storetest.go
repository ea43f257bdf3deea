// Package storetest is one suite of tests for every backend of package store: the promises of the
// package, tested only through instruments and scrapes. A backend keeps every promise, or names
// the missing promises with reasons.
//
//	func TestMain(m *testing.M) { storetest.Main(m) }
//
//	func TestConformance(t *testing.T) {
//		storetest.Run(t, storetest.Backend{Location: func(t testing.TB) string { … }})
//	}
package storetest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

// Backend is the backend under test.
type Backend struct {
	// Location returns an unused location for store.Opts. All processes of a row share the
	// location.
	Location func(t testing.TB) string

	// Lacks are the rows that the backend cannot promise, each with the reason.
	Lacks map[string]string
}

// Rows are the names of all rows, in order.
func Rows() []string {
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.name
	}
	return names
}

// Run runs all rows on a backend.
func Run(t *testing.T, b Backend) {
	for _, name := range slices.Sorted(maps.Keys(b.Lacks)) {
		if !slices.Contains(Rows(), name) || b.Lacks[name] == "" {
			t.Errorf("lacks %q: no such row, or no reason", name)
		}
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if why := b.Lacks[r.name]; why != "" {
				t.Logf("not promised: %s", why)
				return
			}
			r.test(&trial{T: t, location: b.Location(t)})
		})
	}
}

// Main runs the tests of a package that calls Run, or, in a child, the work of the row.
func Main(m *testing.M) {
	Programs().Main()
	os.Exit(m.Run())
}

// Programs are the children of the rows, for a package with programs of its own.
func Programs() reexec.Programs {
	programs := reexec.Programs{}
	for _, r := range rows {
		if r.child == nil {
			continue
		}
		programs[r.name] = func(args []string) error {
			s, err := store.Open(opts(args[0]))
			if err == nil {
				r.child(s)
			}
			return err
		}
	}
	return programs
}

func opts(location string) store.Opts {
	return store.Opts{
		Location: location, NoAbsorption: true, FlushInterval: 20 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}
}

// row is one promise.
type row struct {
	name  string
	test  func(t *trial)
	child func(s *store.Store) // work of the row's children; nil: no children
}

// trial is one row on one backend.
type trial struct {
	*testing.T
	location string
	stores   []*store.Store // opened stores; the last store is scraped if it counts in memory
}

// open opens a store. To readers each store is another process.
func (t *trial) open() *store.Store {
	t.Helper()
	s, err := store.Open(opts(t.location))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	t.stores = append(t.stores, s)
	return s
}

func (t *trial) close(s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// scraper is a registry whose collector absorbs dead processes.
func (t *trial) scraper() prometheus.Gatherer {
	t.Helper()
	o := collector.Opts{Location: t.location, Logger: slog.New(slog.DiscardHandler)}
	if n := len(t.stores); n > 0 && t.stores[n-1].Location() == "" {
		o = collector.Opts{Store: t.stores[n-1], Logger: o.Logger}
	}
	c := collector.New(o)
	t.Cleanup(func() { _ = c.Close() })
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	return r
}

// metrics are the metrics of a scrape after a Flush of all stores, by name and label values.
func (t *trial) metrics(g prometheus.Gatherer) map[string]*dto.Metric {
	t.Helper()
	for _, s := range t.stores {
		_ = s.Flush(context.Background())
	}
	return t.scraped(g)
}

// scraped are the metrics of a scrape without a Flush.
func (t *trial) scraped(g prometheus.Gatherer) map[string]*dto.Metric {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*dto.Metric{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += "/" + l.GetValue()
			}
			all[name] = m
		}
	}
	if up := all["mpmetrics_up"].GetGauge().GetValue(); up != 1 {
		t.Errorf("mpmetrics_up %v", up)
	}
	return all
}

// value is the number of a metric, and whether the metric exists: of histograms and summaries the
// count.
func value(m *dto.Metric) (v float64, there bool) {
	switch {
	case m == nil:
		return 0, false
	case m.Counter != nil:
		return m.Counter.GetValue(), true
	case m.Gauge != nil:
		return m.Gauge.GetValue(), true
	case m.Histogram != nil:
		return float64(m.Histogram.GetSampleCount()), true
	case m.Summary != nil:
		return float64(m.Summary.GetSampleCount()), true
	}
	return m.Untyped.GetValue(), true
}

// absent stands for a missing sample.
const absent = -1e300

// shows checks that a scrape has the wanted values.
func (t *trial) shows(what string, g prometheus.Gatherer, want map[string]float64) {
	t.Helper()
	if got := t.differs(g, want); got != "" {
		t.Errorf("%s: %s", what, got)
	}
}

// comesTo waits until a scrape has the wanted values: a tick or a flush may come first.
func (t *trial) comesTo(what string, g prometheus.Gatherer, want map[string]float64) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		got := t.differs(g, want)
		if got == "" {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("%s, waited in vain: %s", what, got)
		}
	}
}

func (t *trial) differs(g prometheus.Gatherer, want map[string]float64) string {
	t.Helper()
	all := t.metrics(g)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		v, there := value(all[name])
		if !there {
			v = absent
		}
		if v != want[name] {
			return fmt.Sprintf("%s is %v, want %v (%v: absent)", name, v, want[name], absent)
		}
	}
	return ""
}
