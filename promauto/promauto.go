package promauto

import "github.com/prometheus/client_golang/prometheus"

// NewCounter makes a counter of the default store; see [Factory.NewCounter].
func NewCounter(o prometheus.CounterOpts) prometheus.Counter { return onDefault().NewCounter(o) }

// NewCounterVec makes a vec of counters of the default store; see [Factory.NewCounterVec].
func NewCounterVec(o prometheus.CounterOpts, labelNames []string) *prometheus.CounterVec {
	return onDefault().NewCounterVec(o, labelNames)
}

// NewGauge makes a gauge of the default store; see [Factory.NewGauge].
func NewGauge(o prometheus.GaugeOpts) prometheus.Gauge { return onDefault().NewGauge(o) }

// NewGaugeVec makes a vec of gauges of the default store; see [Factory.NewGaugeVec].
func NewGaugeVec(o prometheus.GaugeOpts, labelNames []string) *prometheus.GaugeVec {
	return onDefault().NewGaugeVec(o, labelNames)
}

// NewSummary makes a summary of the default store; see [Factory.NewSummary].
func NewSummary(o prometheus.SummaryOpts) prometheus.Summary { return onDefault().NewSummary(o) }

// NewSummaryVec makes a vec of summaries of the default store; see [Factory.NewSummaryVec].
func NewSummaryVec(o prometheus.SummaryOpts, labelNames []string) *prometheus.SummaryVec {
	return onDefault().NewSummaryVec(o, labelNames)
}

// NewHistogram makes a histogram of the default store; see [Factory.NewHistogram].
func NewHistogram(o prometheus.HistogramOpts) prometheus.Histogram {
	return onDefault().NewHistogram(o)
}

// NewHistogramVec makes a vec of histograms of the default store; see [Factory.NewHistogramVec].
func NewHistogramVec(o prometheus.HistogramOpts, labelNames []string) *prometheus.HistogramVec {
	return onDefault().NewHistogramVec(o, labelNames)
}

// NewCounterFunc makes a counter whose value is the result of a function; see
// [Factory.NewCounterFunc].
func NewCounterFunc(o prometheus.CounterOpts, function func() float64) prometheus.CounterFunc {
	return onDefault().NewCounterFunc(o, function)
}

// NewGaugeFunc makes a gauge whose value is the result of a function; see
// [Factory.NewGaugeFunc].
func NewGaugeFunc(o prometheus.GaugeOpts, function func() float64) prometheus.GaugeFunc {
	return onDefault().NewGaugeFunc(o, function)
}

// NewUntypedFunc makes an untyped metric whose value is the result of a function; see
// [Factory.NewUntypedFunc].
func NewUntypedFunc(o prometheus.UntypedOpts, function func() float64) prometheus.UntypedFunc {
	return onDefault().NewUntypedFunc(o, function)
}
