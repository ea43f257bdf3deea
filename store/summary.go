package store

import (
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// noBucket is the bucket of an observation of a summary.
const noBucket = -1

// summary implements prometheus.Summary without quantiles.
type summary struct {
	series
	group group
}

func (s *summary) Observe(v float64) {
	s.group.lock()
	s.group.observe(v, noBucket)
	s.group.mu.Unlock()
}

// Collect implements prometheus.Collector.
func (s *summary) Collect(ch chan<- prometheus.Metric) { ch <- s }

// Write implements prometheus.Metric.
func (s *summary) Write(out *dto.Metric) error {
	count, sum := s.group.read()
	out.Label = s.labelPairs()
	out.Summary = &dto.Summary{SampleCount: &count, SampleSum: &sum, CreatedTimestamp: s.startTimestamp()}
	return nil
}

func (s *summary) keep()                     { s.group.keep(layout.SummaryWords) }
func (s *summary) use(cells []atomic.Uint64) { s.group.use(cells) }
func (s *summary) load(out []uint64)         { s.group.load(out) }
func (s *summary) leave()                    { s.keep() }
func (s *summary) forsake()                  { s.group.forsake() }
func (s *summary) mend() (anew bool)         { return s.group.empty() }

func (f *family) newSummary(values ...string) *summary {
	s := &summary{}
	s.begin(f, values)
	return s
}

func summaryFamily(o prometheus.SummaryOpts, labels prometheus.ConstrainableLabels) *family {
	if len(o.Objectives) > 0 {
		name := prometheus.BuildFQName(o.Namespace, o.Subsystem, o.Name)
		panic(fmt.Errorf("mpmetrics: summary %q: quantiles of several processes cannot be merged; leave Objectives out, or use a histogram and histogram_quantile", name))
	}
	return newFamily(layout.Family{
		Type: layout.Summary, Name: o.Name, Help: o.Help, Unit: o.Unit,
	}, labels, o.Namespace, o.Subsystem, o.ConstLabels)
}

func makeSummary(s *Store, o prometheus.SummaryOpts) prometheus.Summary {
	f := summaryFamily(o, nil)
	return define(s, f, f.newSummary())
}

func makeSummaryVec(s *Store, o prometheus.SummaryOpts, labels prometheus.ConstrainableLabels) *prometheus.SummaryVec {
	f := summaryFamily(o, labels)
	return &prometheus.SummaryVec{MetricVec: defineVec(s, f, func(values ...string) instrument { return f.newSummary(values...) })}
}

// NewSummary makes a summary of this store: the count and the sum of what was
// observed. It needs no registration. It panics when the definition is invalid
// or a duplicate, and when Objectives are given: quantiles do not merge.
func (s *Store) NewSummary(o prometheus.SummaryOpts) prometheus.Summary { return makeSummary(s, o) }

// NewSummaryVec makes a vec of summaries of this store; see NewSummary. What is
// deleted from it leaves the merged output; the package comment says the rest.
func (s *Store) NewSummaryVec(o prometheus.SummaryOpts, labelNames []string) *prometheus.SummaryVec {
	return makeSummaryVec(s, o, prometheus.UnconstrainedLabels(labelNames))
}

// NewSummary makes a summary of the default store; see Store.NewSummary.
func NewSummary(o prometheus.SummaryOpts) prometheus.Summary { return makeSummary(nil, o) }

// NewSummaryVec makes a vec of summaries of the default store; see Store.NewSummary.
func NewSummaryVec(o prometheus.SummaryOpts, labelNames []string) *prometheus.SummaryVec {
	return makeSummaryVec(nil, o, prometheus.UnconstrainedLabels(labelNames))
}
