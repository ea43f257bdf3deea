package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// What ours refuses beyond client_golang's rules: nothing is dropped silently.
// Each text says what to do.
func TestRefused(t *testing.T) {
	labels := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprint("l", i)
		}
		return out
	}
	for _, c := range []struct {
		name string
		do   func(s *store.Store)
		text string
	}{
		{name: "objectives", do: func(s *store.Store) {
			s.NewSummary(prometheus.SummaryOpts{Name: "s", Help: "h", Objectives: map[float64]float64{0.5: 0.1}})
		}, text: "histogram_quantile"},
		{name: "objectives of a vec", do: func(s *store.Store) {
			s.NewSummaryVec(prometheus.SummaryOpts{Name: "s", Help: "h", Objectives: map[float64]float64{0.5: 0.1}}, []string{"a"})
		}, text: "histogram_quantile"},
		{name: "too many buckets", do: func(s *store.Store) {
			s.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: prometheus.LinearBuckets(0, 1, 5000)})
		}, text: "at most"},
		{name: "too many labels", do: func(s *store.Store) {
			s.NewCounterVec(counterOpts, labels(2000))
		}, text: "at most"},
		{name: "label process and mode all", do: func(s *store.Store) {
			s.NewGaugeVec(gaugeOpts, []string{"process"}, store.All)
		}, text: `label "process"`},
		{name: "constant label process and mode liveall", do: func(s *store.Store) {
			o := gaugeOpts
			o.ConstLabels = prometheus.Labels{"process": "x"}
			s.NewGauge(o, store.LiveAll)
		}, text: `label "process"`},
		{name: "two modes", do: func(s *store.Store) { s.NewGauge(gaugeOpts, store.Sum, store.Max) }, text: "at most one"},
		{name: "no mode", do: func(s *store.Store) { s.NewGauge(gaugeOpts, store.MergeMode(77)) }, text: "gauge modes"},
		{name: "mode zero", do: func(s *store.Store) { s.NewGauge(gaugeOpts, store.MergeMode(0)) }, text: "gauge modes"},
		{name: "reserved prefix", do: func(s *store.Store) {
			s.NewCounter(prometheus.CounterOpts{Name: "mpmetrics_x_total", Help: "h"})
		}, text: "belong to mpmetrics"},
		{name: "reserved prefix as a namespace", do: func(s *store.Store) {
			s.NewGauge(prometheus.GaugeOpts{Namespace: "mpmetrics", Name: "x", Help: "h"})
		}, text: "belong to mpmetrics"},
		{name: "help is no UTF-8", do: func(s *store.Store) {
			s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "\xff"})
		}, text: "UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, location := range []string{"memory:", t.TempDir()} {
				s := open(t, store.Opts{Location: location})
				got := panicOf(func() { c.do(s) })
				text := fmt.Sprint(got)
				if got == nil || !strings.Contains(text, c.text) || !strings.HasPrefix(text, "mpmetrics: ") || strings.Contains(text, "damaged") {
					t.Errorf("panic %q, want one that says %q", text, c.text)
				}
				// The store is as usable as before.
				s.NewCounter(prometheus.CounterOpts{Name: "after_total", Help: "h"}).Inc()
				if got, want := merged(registry(s)), 1.0; got["after_total"] != want {
					t.Errorf("afterwards: got %v, want %v", got["after_total"], want)
				}
			}
		})
	}
}

// A user's label named process is fine where no mode adds one.
func TestLabelProcessAllowed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir, Process: "1"})
	s.NewGaugeVec(gaugeOpts, []string{"process"}, store.Sum).WithLabelValues("mine").Set(2)
	s.NewCounterVec(counterOpts, []string{"process"}).WithLabelValues("mine").Inc()
	got := mergedOf(t, dir)
	if got["g/mine"] != 2 || got["c_total/mine"] != 1 {
		t.Errorf("got %v", got)
	}
}

// The mode of a gauge that was given none follows from its name. It shows in
// what two processes make of it, one of them dead.
func TestDefaultModes(t *testing.T) {
	dir := t.TempDir()
	dead, live, other := open(t, store.Opts{Location: dir}), open(t, store.Opts{Location: dir}), open(t, store.Opts{Location: dir})
	names := []string{
		"last_timestamp_seconds", "build_info", "cache_ratio", "queue_length", "process_start_time_seconds", "ratio", "info_x",
	}
	for v, s := range map[float64]*store.Store{9: dead, 2: live, 4: other} {
		for _, name := range names {
			s.NewGauge(prometheus.GaugeOpts{Name: name, Help: "h"}).Set(v)
		}
		s.NewGauge(prometheus.GaugeOpts{Namespace: "up", Subsystem: "x", Name: "ratio", Help: "h"}).Set(v)
	}
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	got := mergedOf(t, dir)
	for name, want := range map[string]float64{
		"last_timestamp_seconds":     9, // Max
		"build_info":                 4, // LiveMax
		"cache_ratio":                3, // LiveMean
		"up_x_ratio":                 3, // LiveMean: of the whole name
		"queue_length":               6, // LiveSum
		"process_start_time_seconds": 2, // LiveMin
		"ratio":                      6, // LiveSum: no underscore
		"info_x":                     6, // LiveSum
	} {
		if got[name] != want {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
}

func TestMergeModeString(t *testing.T) {
	for mode, want := range map[store.MergeMode]string{store.All: "all", store.LiveSum: "livesum", store.LiveMean: "livemean", store.Omit: "omit", 99: "mode 99"} {
		if got := mode.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
