package prometheus

import (
	"path/filepath"
	"runtime"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// Replacements are used in place of client_golang's constructors and registries; nil: client_golang's
// own. Package ours sets Replaced before the tests run.
type Replacements struct {
	NewCounter      func(CounterOpts) Counter
	NewCounterVec   func(CounterVecOpts) *CounterVec
	NewGauge        func(GaugeOpts) Gauge
	NewGaugeVec     func(GaugeVecOpts) *GaugeVec
	NewHistogram    func(HistogramOpts) Histogram
	NewHistogramVec func(HistogramVecOpts) *HistogramVec
	NewSummary      func(SummaryOpts) Summary
	NewSummaryVec   func(SummaryVecOpts) *SummaryVec
	NewRegistry     func() ReplacedRegistry
}

// ReplacedRegistry does the work of a Registry.
type ReplacedRegistry interface {
	Register(c Collector) error
	Unregister(c Collector) bool
	Gatherer
	Collector
}

// Replaced is in use.
var Replaced Replacements

// byOthers reports whether the caller of a constructor is neither mpmetrics, which itself uses registries
// and native histograms of client_golang, nor a collector of client_golang's package prometheus.
func byOthers() bool {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasPrefix(f.Function, "github.com/prometheus/client_golang/prometheus.") && !strings.HasSuffix(f.File, "_test.go") {
			switch filepath.Base(f.File) {
			case "counter.go", "gauge.go", "histogram.go", "summary.go", "registry.go": // a constructor calls another
				if more {
					continue
				}
			}
			return false
		}
		return !strings.HasPrefix(f.Function, "github.com/mpmetrics/mpmetrics/")
	}
}

func NewCounter(o CounterOpts) Counter {
	if Replaced.NewCounter != nil && byOthers() {
		return Replaced.NewCounter(o)
	}
	return clientNewCounter(o)
}

func (v v2) NewCounterVec(o CounterVecOpts) *CounterVec {
	if Replaced.NewCounterVec != nil && byOthers() {
		return Replaced.NewCounterVec(o)
	}
	return v.clientNewCounterVec(o)
}

func NewGauge(o GaugeOpts) Gauge {
	if Replaced.NewGauge != nil && byOthers() {
		return Replaced.NewGauge(o)
	}
	return clientNewGauge(o)
}

func (v v2) NewGaugeVec(o GaugeVecOpts) *GaugeVec {
	if Replaced.NewGaugeVec != nil && byOthers() {
		return Replaced.NewGaugeVec(o)
	}
	return v.clientNewGaugeVec(o)
}

func NewHistogram(o HistogramOpts) Histogram {
	if Replaced.NewHistogram != nil && byOthers() {
		return Replaced.NewHistogram(o)
	}
	return clientNewHistogram(o)
}

func (v v2) NewHistogramVec(o HistogramVecOpts) *HistogramVec {
	if Replaced.NewHistogramVec != nil && byOthers() {
		return Replaced.NewHistogramVec(o)
	}
	return v.clientNewHistogramVec(o)
}

func NewSummary(o SummaryOpts) Summary {
	if Replaced.NewSummary != nil && byOthers() {
		return Replaced.NewSummary(o)
	}
	return clientNewSummary(o)
}

func (v v2) NewSummaryVec(o SummaryVecOpts) *SummaryVec {
	if Replaced.NewSummaryVec != nil && byOthers() {
		return Replaced.NewSummaryVec(o)
	}
	return v.clientNewSummaryVec(o)
}

func NewRegistry() *Registry {
	r := clientNewRegistry()
	if Replaced.NewRegistry != nil && byOthers() {
		r.replacement = Replaced.NewRegistry()
	}
	return r
}

func (r *Registry) Register(c Collector) error {
	if r.replacement != nil {
		return r.replacement.Register(c)
	}
	return r.clientRegister(c)
}

func (r *Registry) Unregister(c Collector) bool {
	if r.replacement != nil {
		return r.replacement.Unregister(c)
	}
	return r.clientUnregister(c)
}

func (r *Registry) Gather() ([]*dto.MetricFamily, error) {
	if r.replacement != nil {
		return r.replacement.Gather()
	}
	return r.clientGather()
}

func (r *Registry) Describe(ch chan<- *Desc) {
	if r.replacement != nil {
		r.replacement.Describe(ch)
		return
	}
	r.clientDescribe(ch)
}

func (r *Registry) Collect(ch chan<- Metric) {
	if r.replacement != nil {
		r.replacement.Collect(ch)
		return
	}
	r.clientCollect(ch)
}
