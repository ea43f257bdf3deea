package store_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// Constrained values are what series are told apart by, and what a vec is asked for.
func TestConstrainedLabels(t *testing.T) {
	lower := prometheus.ConstrainedLabels{{Name: "method", Constraint: strings.ToLower}, {Name: "code"}}
	for _, location := range []string{"memory:", inMemory(t)} {
		s := open(t, store.Opts{Location: location})
		counters := s.V2().NewCounterVec(prometheus.CounterVecOpts{CounterOpts: counterOpts, VariableLabels: lower})
		counters.WithLabelValues("GET", "200").Inc()
		counters.With(prometheus.Labels{"method": "get", "code": "200"}).Add(2)
		counters.MustCurryWith(prometheus.Labels{"method": "Get"}).WithLabelValues("200").Add(4)
		gauges := s.V2().NewGaugeVec(prometheus.GaugeVecOpts{GaugeOpts: gaugeOpts, VariableLabels: lower}, store.Max)
		gauges.WithLabelValues("GET", "A").Set(3)
		histograms := s.V2().NewHistogramVec(prometheus.HistogramVecOpts{HistogramOpts: histogramOpts, VariableLabels: lower})
		histograms.WithLabelValues("GET", "A").Observe(1)
		natives := s.V2().NewHistogramVec(prometheus.HistogramVecOpts{HistogramOpts: nativeOpts, VariableLabels: lower})
		natives.WithLabelValues("GET", "A").Observe(1)
		natives.WithLabelValues("get", "A").Observe(1)
		summaries := s.V2().NewSummaryVec(prometheus.SummaryVecOpts{
			SummaryOpts: prometheus.SummaryOpts{Name: "s", Help: "h"}, VariableLabels: prometheus.UnconstrainedLabels{"method"},
		})
		summaries.WithLabelValues("GET").Observe(1)
		want := map[string]float64{
			counterOpts.Name + "/200/get": 7, gaugeOpts.Name + "/A/get": 3, histogramOpts.Name + "/A/get": 1,
			nativeOpts.Name + "/A/get": 2, "s/GET": 1,
		}
		if location == "memory:" {
			same(t, location, merged(registry(s)), want)
			continue
		}
		_ = s.Flush(context.Background())
		same(t, location, mergedOf(t, location), want)
	}
}

func init() {
	programs["constrained labels"] = func(p *program) {
		v := store.V2.NewCounterVec(prometheus.CounterVecOpts{
			CounterOpts: counterOpts, VariableLabels: prometheus.ConstrainedLabels{{Name: "l", Constraint: strings.ToUpper}},
		})
		dir := os.Getenv(store.EnvDir)
		p.equal("files before", len(files(dir)), 0)
		v.WithLabelValues("x").Inc()
		p.equal("files", len(files(dir)), 1)
	}
}

func TestConstrainedLabelsOfPackageLevel(t *testing.T) {
	run(t, "constrained labels", store.EnvDir+"="+inMemory(t))
}
