package store_test

import (
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// A library that registers a name twice gets the collector that has the name, as its own type:
// client_golang documents the assertion.
func TestExistingCollectorIsTheVec(t *testing.T) {
	labels := []string{"code"}
	s := open(t, store.Opts{Location: t.TempDir()})
	counters := s.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, labels)
	gauges := s.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, labels)
	histograms := s.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h"}, labels)
	natives := s.NewHistogramVec(prometheus.HistogramOpts{Name: "n", Help: "h", NativeHistogramBucketFactor: 1.1}, labels)
	summaries := s.NewSummaryVec(prometheus.SummaryOpts{Name: "s", Help: "h"}, labels)
	constrained := s.V2().NewCounterVec(prometheus.CounterVecOpts{
		CounterOpts: prometheus.CounterOpts{Name: "v_total", Help: "h"}, VariableLabels: prometheus.UnconstrainedLabels(labels),
	})
	single := s.NewCounter(prometheus.CounterOpts{Name: "single_total", Help: "h"})
	for _, c := range []struct {
		name string
		made prometheus.Collector // by the store
		same prometheus.Collector // by a library
	}{
		{name: "counters", made: counters, same: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, labels)},
		{name: "gauges", made: gauges, same: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, labels)},
		{name: "histograms", made: histograms, same: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h"}, labels)},
		{name: "native histograms", made: natives, same: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "n", Help: "h"}, labels)},
		{name: "summaries", made: summaries, same: prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: "s", Help: "h"}, labels)},
		{name: "constrained", made: constrained, same: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, labels)},
		{name: "single", made: single, same: prometheus.NewCounter(prometheus.CounterOpts{Name: "single_total", Help: "h"})},
	} {
		var already prometheus.AlreadyRegisteredError
		if err := s.Registerer().Register(c.same); !errors.As(err, &already) {
			t.Errorf("%s: error %v, want AlreadyRegisteredError", c.name, err)
			continue
		}
		if already.ExistingCollector != c.made {
			t.Errorf("%s: the existing collector is a %T, want the %T of the store", c.name, already.ExistingCollector, c.made)
		}
	}
}
