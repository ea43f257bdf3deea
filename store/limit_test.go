package store_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/memoryserver"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

const droppedName = "mpmetrics_dropped_series_total"

// Series beyond the limit count in memory only, and their number is shown by
// whoever scrapes.
func TestMaxSeries(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir, MaxSeries: 10})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	for i := range 15 {
		vec.WithLabelValues(fmt.Sprint(i)).Inc()
	}
	if got, want := testutil.CollectAndCount(vec), 15; got != want {
		t.Errorf("own series: got %d, want %d", got, want)
	}
	if got, want := testutil.ToFloat64(vec.WithLabelValues("14")), 1.0; got != want {
		t.Errorf("own value of one beyond the limit: got %v, want %v", got, want)
	}
	published := func() (n int) {
		for name := range mergedOf(t, dir) {
			if strings.HasPrefix(name, "c_total/") {
				n++
			}
		}
		return n
	}
	if got, want := published(), 10; got != want {
		t.Errorf("published: got %d, want %d", got, want)
	}
	promtest.Eventually(t, "five dropped", func() bool { return mergedOf(t, dir)[droppedName] == 5 })
	s.NewGauge(gaugeOpts).Set(1)
	vec.WithLabelValues("one more").Inc()
	promtest.Eventually(t, "seven dropped", func() bool { return mergedOf(t, dir)[droppedName] == 7 })
	if got, want := published(), 10; got != want {
		t.Errorf("published in the end: got %d, want %d", got, want)
	}
}

// Nothing was dropped: nothing is said.
func TestNothingDropped(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir, MaxSeries: 2})
	s.NewCounter(counterOpts).Inc()
	s.NewGauge(gaugeOpts).Set(1)
	if n, there := mergedOf(t, dir)[droppedName]; there {
		t.Errorf("%s is %v without a reason", droppedName, n)
	}
}

// In memory there is no limit: nothing is published.
func TestMaxSeriesInMemory(t *testing.T) {
	s := open(t, store.Opts{Location: "memory:", MaxSeries: 2})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	for i := range 5 {
		vec.WithLabelValues(fmt.Sprint(i)).Inc()
	}
	if got, want := len(merged(registry(s))), 5; got != want {
		t.Errorf("series: got %d, want %d", got, want)
	}
}

// A record that no reader would believe must not be written: the whole file
// would be taken for damaged.
func TestLongestRecord(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir})
	s.NewCounter(counterOpts).Inc()
	vec := s.NewCounterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, []string{"a"})
	vec.WithLabelValues(strings.Repeat("x", 17<<20)).Inc()
	vec.WithLabelValues("short").Inc()
	promtest.Eventually(t, "one dropped", func() bool { return mergedOf(t, dir)[droppedName] == 1 })
	got := withoutSelf(mergedOf(t, dir))
	if len(got) != 2 || got["c_total"] != 1 || got["v_total/short"] != 1 {
		t.Errorf("merged: %d series, want c_total and v_total/short", len(got))
	}
	if panicOf(func() {
		s.NewCounter(prometheus.CounterOpts{Name: "help_total", Help: strings.Repeat("x", 17<<20)})
	}) == nil {
		t.Error("no panic for a help text of 17 MiB")
	}
}

// A series beyond the limit gets a place when there is one, with all that it has counted.
func TestPlaceBelowTheLimitComesFree(t *testing.T) {
	store.SetTickFor(t, time.Millisecond)
	for where, location := range map[string]string{
		"directory": t.TempDir(),
		"server":    (&memoryserver.Client{Server: memoryserver.New()}).Location(),
	} {
		s := open(t, store.Opts{Location: location, MaxSeries: 10})
		single := s.NewCounter(prometheus.CounterOpts{Name: "single_total", Help: "h"})
		kinds := everyVec(s, "l")
		r := registry(collector.New(collector.Opts{Location: location}))
		shown := func(prefix string) (n int) {
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			for name := range merged(r) {
				if strings.Contains(name, "/"+prefix) {
					n++
				}
			}
			return n
		}
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			v := kinds[kind]
			t.Run(where+"/"+kind, func(t *testing.T) {
				single.Inc()
				for i := range 6 {
					v.update(fmt.Sprint("before", i))
				}
				v.metric.Reset() // and at once
				for i := range 6 {
					v.update(fmt.Sprint("after", i))
					v.update(fmt.Sprint("after", i))
				}
				promtest.Eventually(t, "six are shown", func() bool { return shown("before") == 0 && shown("after") == 6 })
				for name, got := range merged(r) {
					want := 2.0
					if strings.HasPrefix(name, "gauge_") {
						want = 1 // Set(1), twice
					}
					if strings.Contains(name, "/after") && got != want {
						t.Errorf("%s is %v, want %v", name, got, want)
					}
				}
				v.metric.Reset()
				promtest.Eventually(t, "all have left", func() bool { return s.Series() == 1 })
			})
		}
		if got, want := merged(r)["single_total"], float64(len(kinds)); got != want {
			t.Errorf("%s: single_total is %v, want %v", where, got, want)
		}
	}
}

// Series that come and go in great numbers do not keep a series out that stays.
func TestSeriesThatStaysAmongOthers(t *testing.T) {
	store.SetTickFor(t, time.Millisecond)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir, MaxSeries: 10})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	for i := range 100 {
		vec.WithLabelValues(fmt.Sprint(i)).Inc()
	}
	late := s.NewCounter(prometheus.CounterOpts{Name: "late_total", Help: "h"})
	h := s.NewHistogram(prometheus.HistogramOpts{Name: "late_seconds", Help: "h", Buckets: []float64{1}})
	late.Add(41)
	h.Observe(2)
	for i := range 99 {
		vec.DeleteLabelValues(fmt.Sprint(i))
	}
	promtest.Eventually(t, "those that stay are shown", func() bool {
		got := mergedOf(t, dir)
		return got["late_total"] == 41 && got["late_seconds"] == 1 && got["c_total/99"] == 1
	})
	late.Inc()
	if got := mergedOf(t, dir)["late_total"]; got != 42 {
		t.Errorf("late_total is %v, want 42", got)
	}
}

// What was kept of a deleted series leaves when a series with the same label values, made beyond the
// limit, gets its place.
func TestShareLeavesForASeriesBeyondTheLimit(t *testing.T) {
	store.SetTickFor(t, time.Millisecond)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir, MaxSeries: 2})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	vec.WithLabelValues("x").Add(5)
	vec.DeleteLabelValues("x")
	promtest.Eventually(t, "x has left", func() bool { return s.Series() == 0 })
	vec.WithLabelValues("1").Inc()
	vec.WithLabelValues("2").Inc()
	vec.WithLabelValues("x").Inc() // beyond
	vec.DeleteLabelValues("1")
	promtest.Eventually(t, "x is back", func() bool { return mergedOf(t, dir)["c_total/x"] == 1 })
	if got := merged(registry(collector.New(collector.Opts{Location: dir})))["mpmetrics_up"]; got != 1 {
		t.Errorf("mpmetrics_up is %v, want 1", got)
	}
}
