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

// NewCounter makes a counter of this store. It needs no registration. It
// panics, as promauto does, when the definition is invalid or a duplicate.
//
// Inc is one atomic addition in the file of this process: it survives SIGKILL
// from the moment it returns. Add panics for a negative value. A value that is
// whole and at most 2^53 is added exactly; the others are summed as float64. It is
// a prometheus.ExemplarAdder.
func (s *Store) NewCounter(o prometheus.CounterOpts) prometheus.Counter { return makeCounter(s, o) }

// NewCounterVec makes a vec of counters of this store; see NewCounter. What is
// deleted from it leaves the merged output; the package comment says the rest.
func (s *Store) NewCounterVec(o prometheus.CounterOpts, labelNames []string) *prometheus.CounterVec {
	return makeCounterVec(s, o, prometheus.UnconstrainedLabels(labelNames))
}

// NewCounter makes a counter of the default store; see Store.NewCounter.
func NewCounter(o prometheus.CounterOpts) prometheus.Counter { return makeCounter(nil, o) }

// NewCounterVec makes a vec of counters of the default store; see Store.NewCounter.
func NewCounterVec(o prometheus.CounterOpts, labelNames []string) *prometheus.CounterVec {
	return makeCounterVec(nil, o, prometheus.UnconstrainedLabels(labelNames))
}
