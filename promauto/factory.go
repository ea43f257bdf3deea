package promauto

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/store"
)

// Factory makes metrics, as the Factory of client_golang's package promauto. The zero Factory makes
// metrics that no registry knows.
type Factory struct {
	own     instruments // nil: plain metrics
	foreign promauto.Factory
}

// instruments makes instruments of one store.
type instruments interface {
	NewCounter(o prometheus.CounterOpts) prometheus.Counter
	NewCounterVec(o prometheus.CounterOpts, labelNames []string) *prometheus.CounterVec
	NewGauge(o prometheus.GaugeOpts) prometheus.Gauge
	NewGaugeVec(o prometheus.GaugeOpts, labelNames []string) *prometheus.GaugeVec
	NewSummary(o prometheus.SummaryOpts) prometheus.Summary
	NewSummaryVec(o prometheus.SummaryOpts, labelNames []string) *prometheus.SummaryVec
	NewHistogram(o prometheus.HistogramOpts) prometheus.Histogram
	NewHistogramVec(o prometheus.HistogramOpts, labelNames []string) *prometheus.HistogramVec
}

// With returns a Factory for a Registerer; the package comment says where the metrics count.
func With(r prometheus.Registerer) Factory {
	switch r {
	case nil:
		return Factory{}
	case prometheus.DefaultRegisterer:
		return onDefault()
	}
	f := Factory{foreign: promauto.With(r)}
	if of, ok := r.(interface{ Store() *store.Store }); ok {
		f.own = owned{of.Store()}
	}
	return f
}

// onDefault returns the Factory of the default store. The default store opens at the first use of a
// metric, so that main may still configure the store.
func onDefault() Factory {
	return Factory{own: owned{}, foreign: promauto.With(store.Registerer())}
}

// owned makes instruments of a store, and of the default store for nil.
type owned struct{ *store.Store }

func (o owned) NewGauge(opts prometheus.GaugeOpts) prometheus.Gauge { return o.Store.NewGauge(opts) }

func (o owned) NewGaugeVec(opts prometheus.GaugeOpts, labelNames []string) *prometheus.GaugeVec {
	return o.Store.NewGaugeVec(opts, labelNames)
}

func (f Factory) instruments() instruments {
	if f.own == nil {
		return f.foreign
	}
	return f.own
}

// NewCounter makes a counter, or panics for an invalid or a duplicate definition.
func (f Factory) NewCounter(o prometheus.CounterOpts) prometheus.Counter {
	return f.instruments().NewCounter(o)
}

// NewCounterVec makes a vec of counters, or panics for an invalid or a duplicate definition.
func (f Factory) NewCounterVec(o prometheus.CounterOpts, labelNames []string) *prometheus.CounterVec {
	return f.instruments().NewCounterVec(o, labelNames)
}

// NewGauge makes a gauge, or panics for an invalid or a duplicate definition.
func (f Factory) NewGauge(o prometheus.GaugeOpts) prometheus.Gauge {
	return f.instruments().NewGauge(o)
}

// NewGaugeVec makes a vec of gauges, or panics for an invalid or a duplicate definition.
func (f Factory) NewGaugeVec(o prometheus.GaugeOpts, labelNames []string) *prometheus.GaugeVec {
	return f.instruments().NewGaugeVec(o, labelNames)
}

// NewSummary makes a summary, or panics for an invalid or a duplicate definition. A summary with
// Objectives is mirrored, without its quantiles: quantiles of several processes do not merge.
func (f Factory) NewSummary(o prometheus.SummaryOpts) prometheus.Summary {
	return f.summaries(o).NewSummary(o)
}

// NewSummaryVec makes a vec of summaries, or panics for an invalid or a duplicate definition; see
// [Factory.NewSummary].
func (f Factory) NewSummaryVec(o prometheus.SummaryOpts, labelNames []string) *prometheus.SummaryVec {
	return f.summaries(o).NewSummaryVec(o, labelNames)
}

func (f Factory) summaries(o prometheus.SummaryOpts) instruments {
	if len(o.Objectives) > 0 {
		return f.foreign
	}
	return f.instruments()
}

// NewHistogram makes a histogram, or panics for an invalid or a duplicate definition.
func (f Factory) NewHistogram(o prometheus.HistogramOpts) prometheus.Histogram {
	return f.instruments().NewHistogram(o)
}

// NewHistogramVec makes a vec of histograms, or panics for an invalid or a duplicate definition.
func (f Factory) NewHistogramVec(o prometheus.HistogramOpts, labelNames []string) *prometheus.HistogramVec {
	return f.instruments().NewHistogramVec(o, labelNames)
}

// NewCounterFunc makes a counter whose value is the result of a function. NewCounterFunc panics for
// an invalid or a duplicate definition.
func (f Factory) NewCounterFunc(o prometheus.CounterOpts, function func() float64) prometheus.CounterFunc {
	return f.foreign.NewCounterFunc(o, function)
}

// NewGaugeFunc makes a gauge whose value is the result of a function. NewGaugeFunc panics for
// an invalid or a duplicate definition.
func (f Factory) NewGaugeFunc(o prometheus.GaugeOpts, function func() float64) prometheus.GaugeFunc {
	return f.foreign.NewGaugeFunc(o, function)
}

// NewUntypedFunc makes an untyped metric whose value is the result of a function. NewUntypedFunc
// panics for an invalid or a duplicate definition.
func (f Factory) NewUntypedFunc(o prometheus.UntypedOpts, function func() float64) prometheus.UntypedFunc {
	return f.foreign.NewUntypedFunc(o, function)
}
