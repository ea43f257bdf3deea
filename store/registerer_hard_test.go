package store_test

// Collectors that nobody should write, and some that do.

import (
	"context"
	"runtime"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/collector"
)

// unchecked is a collector that describes nothing.
type unchecked func(chan<- prometheus.Metric)

func (unchecked) Describe(chan<- *prometheus.Desc)      {}
func (f unchecked) Collect(ch chan<- prometheus.Metric) { f(ch) }

// nameless is a metric without a descriptor.
type nameless struct{ prometheus.Metric }

func (nameless) Desc() *prometheus.Desc { return nil }

func TestRegistererSurvives(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	for _, f := range []unchecked{
		func(ch chan<- prometheus.Metric) { ch <- nil },
		func(ch chan<- prometheus.Metric) { ch <- nameless{} },
		func(chan<- prometheus.Metric) { runtime.Goexit() },
	} {
		s.Registerer().MustRegister(f)
	}
	// A name of ours is not mirrored, and does not keep ours from being shown.
	promauto.With(s.Registerer()).NewCounter(prometheus.CounterOpts{Name: "mpmetrics_unmirrored_total", Help: "not ours"}).Add(1000)
	promauto.With(s.Registerer()).NewCounter(prometheus.CounterOpts{Name: "fine_total", Help: "h"}).Inc()
	for range 3 {
		_ = s.Flush(context.Background())
	}
	got := mergedOf(t, dir)
	same(t, "beside them", got, map[string]float64{"fine_total": 1})
	if got["mpmetrics_unmirrored_total/panic"] == 0 || got["mpmetrics_unmirrored_total/name"] == 0 || got["mpmetrics_unmirrored_total"] != 0 {
		t.Errorf("counted: %v", got)
	}
}

// A series that no reader takes is left out, and counted: the other series of its family go on.
func TestRegistererLeavesOutASeries(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	value, refused := 5.0, false
	s.Registerer().MustRegister(unchecked(func(ch chan<- prometheus.Metric) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("v_total", "h", nil, nil), prometheus.CounterValue, value)
		if refused {
			ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("v_total", "h", []string{"a:b"}, nil), prometheus.CounterValue, 1, "x")
		}
	}))
	_ = s.Flush(context.Background())
	value, refused = 6, true
	_ = s.Flush(context.Background())
	_ = s.Flush(context.Background()) // the count of the flush before
	got := merged(registry(c))
	if got["v_total"] != 6 || got["mpmetrics_unmirrored_total/invalid"] != 1 {
		t.Errorf("beside a series that no reader takes: %v, counted %v times as invalid, want 6 and 1", got["v_total"], got["mpmetrics_unmirrored_total/invalid"])
	}
}

// A histogram with other buckets goes on from that with the old ones.
func TestRegistererOtherBuckets(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	for n, bounds := range [][]float64{{1, 2}, {1, 2, 3}, {1, 3}, {1, 2}} {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: bounds})
		s.Registerer().MustRegister(h)
		for range 10 {
			h.Observe(1)
		}
		_ = s.Flush(context.Background())
		if got, want := mergedOf(t, dir)["h"], float64(10*(n+1)); got != want {
			t.Errorf("with buckets %v: %v observations, want %v", bounds, got, want)
		}
		s.Registerer().Unregister(h)
	}
}

func TestRegistererFlushesAtOnce(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	c := promauto.With(s.Registerer()).NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				c.Inc()
				_ = s.Flush(context.Background())
				g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"})
				if s.Registerer().Register(g) == nil {
					s.Registerer().Unregister(g)
				}
			}
		})
	}
	all.Wait()
	_ = s.Flush(context.Background())
	if got := mergedOf(t, dir)["c_total"]; got != 160 {
		t.Errorf("%v counts, want 160", got)
	}
}
