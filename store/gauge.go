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

// NewGauge makes a gauge of this store, with at most one mode. The gauge needs no registration.
// NewGauge panics if the definition is invalid or a duplicate. NewGauge also panics for a label
// "process" of an [All] or [LiveAll] gauge, because the mode adds the label.
func (s *Store) NewGauge(o prometheus.GaugeOpts, mode ...MergeMode) prometheus.Gauge {
	return makeGauge(s, o, mode)
}

// NewGaugeVec makes a vec of gauges of this store; see [Store.NewGauge]. A deleted series leaves
// the merged output, as the section Deletion of the package comment describes.
func (s *Store) NewGaugeVec(o prometheus.GaugeOpts, labelNames []string, mode ...MergeMode) *prometheus.GaugeVec {
	return makeGaugeVec(s, o, prometheus.UnconstrainedLabels(labelNames), mode)
}

// NewGauge makes a gauge of the default store; see [Store.NewGauge].
func NewGauge(o prometheus.GaugeOpts, mode ...MergeMode) prometheus.Gauge {
	return makeGauge(nil, o, mode)
}

// NewGaugeVec makes a vec of gauges of the default store; see [Store.NewGaugeVec].
func NewGaugeVec(o prometheus.GaugeOpts, labelNames []string, mode ...MergeMode) *prometheus.GaugeVec {
	return makeGaugeVec(nil, o, prometheus.UnconstrainedLabels(labelNames), mode)
}
