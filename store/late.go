package store

import "github.com/prometheus/client_golang/prometheus"

// A metric of package level without labels may be updated before the default
// store is there: the first update binds it. The types below look for that, so
// that those which are bound from the beginning, children of vecs among them,
// need not. Commit groups look under their lock.

type lateCounter struct{ *counter }

var _ prometheus.Counter = lateCounter{}

func (c lateCounter) bind() {
	if c.cells.Load() == nil {
		defaultOnUse()
	}
}

func (c lateCounter) Inc() {
	c.bind()
	c.counter.Inc()
}

func (c lateCounter) Add(v float64) {
	c.bind()
	c.counter.Add(v)
}

func (c lateCounter) AddWithExemplar(v float64, labels prometheus.Labels) {
	c.bind()
	c.counter.AddWithExemplar(v, labels)
}

type lateGauge struct{ *gauge }

var _ prometheus.Gauge = lateGauge{}

func (g lateGauge) bind() {
	if g.cell.Load() == nil {
		defaultOnUse()
	}
}

func (g lateGauge) Set(v float64) {
	g.bind()
	g.gauge.Set(v)
}

func (g lateGauge) Add(v float64) {
	g.bind()
	g.gauge.Add(v)
}

func (g lateGauge) Sub(v float64)     { g.Add(-v) }
func (g lateGauge) Inc()              { g.Add(1) }
func (g lateGauge) Dec()              { g.Add(-1) }
func (g lateGauge) SetToCurrentTime() { g.Set(secondsNow()) }
