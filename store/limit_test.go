package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

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
