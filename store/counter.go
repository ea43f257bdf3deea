package store

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

func makeCounter(s *Store, o prometheus.CounterOpts) prometheus.Counter {
	f := instrument.CounterFamily(o, nil)
	c := define(s, f, f.NewCounter())
	if s == nil {
		return instrument.LateCounter{Counter: c}
	}
	return c
}

func makeCounterVec(s *Store, o prometheus.CounterOpts, labels prometheus.ConstrainableLabels) *prometheus.CounterVec {
	f := instrument.CounterFamily(o, labels)
	return defineVec(s, f, func(values ...string) instrument.Instrument { return f.NewCounter(values...) }, asCounterVec)
}

// NewCounter makes a counter of this store. The counter needs no registration. Like promauto,
// NewCounter panics if the definition is invalid or a duplicate.
//
// Inc is one atomic addition in the file of this process: the count survives SIGKILL from the
// return of Inc on. Add panics for a negative value. Add adds a whole value up to 2^53 exactly, and
// sums other values as float64. The counter is a [prometheus.ExemplarAdder].
func (s *Store) NewCounter(o prometheus.CounterOpts) prometheus.Counter { return makeCounter(s, o) }

// NewCounterVec makes a vec of counters of this store; see [Store.NewCounter]. A deleted series
// leaves the merged output, as the section Deletion of the package comment describes.
func (s *Store) NewCounterVec(o prometheus.CounterOpts, labelNames []string) *prometheus.CounterVec {
	return makeCounterVec(s, o, prometheus.UnconstrainedLabels(labelNames))
}

// NewCounter makes a counter of the default store; see [Store.NewCounter].
func NewCounter(o prometheus.CounterOpts) prometheus.Counter { return makeCounter(nil, o) }

// NewCounterVec makes a vec of counters of the default store; see [Store.NewCounterVec].
func NewCounterVec(o prometheus.CounterOpts, labelNames []string) *prometheus.CounterVec {
	return makeCounterVec(nil, o, prometheus.UnconstrainedLabels(labelNames))
}
