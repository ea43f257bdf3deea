package store

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

func makeSummary(s *Store, o prometheus.SummaryOpts) prometheus.Summary {
	f := instrument.SummaryFamily(o, nil)
	return define(s, f, f.NewSummary())
}

func makeSummaryVec(s *Store, o prometheus.SummaryOpts, labels prometheus.ConstrainableLabels) *prometheus.SummaryVec {
	f := instrument.SummaryFamily(o, labels)
	return defineVec(s, f, func(values ...string) instrument.Instrument { return f.NewSummary(values...) }, asSummaryVec)
}

// NewSummary makes a summary of this store: the count and the sum of the observations. The summary
// needs no registration. NewSummary panics if the definition is invalid or a duplicate, and for
// Objectives, because quantiles do not merge.
func (s *Store) NewSummary(o prometheus.SummaryOpts) prometheus.Summary { return makeSummary(s, o) }

// NewSummaryVec makes a vec of summaries of this store; see [Store.NewSummary]. A deleted series
// leaves the merged output, as the section Deletion of the package comment describes.
func (s *Store) NewSummaryVec(o prometheus.SummaryOpts, labelNames []string) *prometheus.SummaryVec {
	return makeSummaryVec(s, o, prometheus.UnconstrainedLabels(labelNames))
}

// NewSummary makes a summary of the default store; see [Store.NewSummary].
func NewSummary(o prometheus.SummaryOpts) prometheus.Summary { return makeSummary(nil, o) }

// NewSummaryVec makes a vec of summaries of the default store; see [Store.NewSummaryVec].
func NewSummaryVec(o prometheus.SummaryOpts, labelNames []string) *prometheus.SummaryVec {
	return makeSummaryVec(nil, o, prometheus.UnconstrainedLabels(labelNames))
}
