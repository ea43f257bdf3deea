package store

import "github.com/prometheus/client_golang/prometheus"

// V2 makes vecs of the default store with constrained label values, like [prometheus.V2]. A
// function replaces each label value before series are told apart, so that foreign input cannot
// make too many series.
var V2 Constrained

// Constrained makes vecs with the options of [prometheus.V2]. Otherwise the vecs are equal to the
// vecs of [Store.NewCounterVec] and its siblings.
type Constrained struct {
	store *Store // nil: the default store
}

// V2 makes vecs of this store with constrained label values; see the variable [V2].
func (s *Store) V2() Constrained { return Constrained{s} }

// NewCounterVec makes a vec of counters; see [Store.NewCounter].
func (c Constrained) NewCounterVec(o prometheus.CounterVecOpts) *prometheus.CounterVec {
	return makeCounterVec(c.store, o.CounterOpts, o.VariableLabels)
}

// NewGaugeVec makes a vec of gauges; see [Store.NewGauge].
func (c Constrained) NewGaugeVec(o prometheus.GaugeVecOpts, mode ...MergeMode) *prometheus.GaugeVec {
	return makeGaugeVec(c.store, o.GaugeOpts, o.VariableLabels, mode)
}

// NewHistogramVec makes a vec of histograms; see [Store.NewHistogram].
func (c Constrained) NewHistogramVec(o prometheus.HistogramVecOpts) *prometheus.HistogramVec {
	return makeHistogramVec(c.store, o.HistogramOpts, o.VariableLabels)
}

// NewSummaryVec makes a vec of summaries; see [Store.NewSummary].
func (c Constrained) NewSummaryVec(o prometheus.SummaryVecOpts) *prometheus.SummaryVec {
	return makeSummaryVec(c.store, o.SummaryOpts, o.VariableLabels)
}
