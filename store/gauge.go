package store

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

func gaugeFamily(o prometheus.GaugeOpts, labels prometheus.ConstrainableLabels, mode []MergeMode) *instrument.Family {
	return instrument.GaugeFamily(o, labels, gaugeMode(prometheus.BuildFQName(o.Namespace, o.Subsystem, o.Name), mode))
}

func makeGauge(s *Store, o prometheus.GaugeOpts, mode []MergeMode) prometheus.Gauge {
	f := gaugeFamily(o, nil, mode)
	i := define(s, f, f.NewGauge())
	if g, plain := i.(*instrument.Gauge); plain && s == nil {
		return instrument.LateGauge{Gauge: g}
	}
	return i
}

func makeGaugeVec(s *Store, o prometheus.GaugeOpts, labels prometheus.ConstrainableLabels, mode []MergeMode) *prometheus.GaugeVec {
	f := gaugeFamily(o, labels, mode)
	return defineVec(s, f, func(values ...string) instrument.Instrument { return f.NewGauge(values...) }, asGaugeVec)
}

// NewGauge makes a gauge of this store, with at most one mode. It needs no
// registration. It panics when the definition is invalid or a duplicate, and
// for a label "process" of an All or LiveAll gauge, which that mode adds itself.
func (s *Store) NewGauge(o prometheus.GaugeOpts, mode ...MergeMode) prometheus.Gauge {
	return makeGauge(s, o, mode)
}

// NewGaugeVec makes a vec of gauges of this store; see NewGauge. What is
// deleted from it leaves the merged output; the package comment says the rest.
func (s *Store) NewGaugeVec(o prometheus.GaugeOpts, labelNames []string, mode ...MergeMode) *prometheus.GaugeVec {
	return makeGaugeVec(s, o, prometheus.UnconstrainedLabels(labelNames), mode)
}

// NewGauge makes a gauge of the default store; see Store.NewGauge.
func NewGauge(o prometheus.GaugeOpts, mode ...MergeMode) prometheus.Gauge {
	return makeGauge(nil, o, mode)
}

// NewGaugeVec makes a vec of gauges of the default store; see Store.NewGauge.
func NewGaugeVec(o prometheus.GaugeOpts, labelNames []string, mode ...MergeMode) *prometheus.GaugeVec {
	return makeGaugeVec(nil, o, prometheus.UnconstrainedLabels(labelNames), mode)
}
