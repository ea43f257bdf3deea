package instrument

import "github.com/prometheus/client_golang/prometheus"

// A metric of package level without labels may be updated before the default
// store is open: the first update binds the metric. The types below check for that on
// each update, so that instruments that are bound when they are made, children of vecs
// among them, need no check. Commit groups check under their lock.

// LateCounter is a counter of package level.
type LateCounter struct{ *Counter }

var _ prometheus.ExemplarAdder = LateCounter{}

func (c LateCounter) bind() {
	if c.cells.Load() == nil {
		c.Family.onUse()
	}
}

// Inc implements prometheus.Counter.
func (c LateCounter) Inc() {
	c.bind()
	c.Counter.Inc()
}

// Add implements prometheus.Counter.
func (c LateCounter) Add(v float64) {
	c.bind()
	c.Counter.Add(v)
}

// AddWithExemplar implements prometheus.ExemplarAdder.
func (c LateCounter) AddWithExemplar(v float64, labels prometheus.Labels) {
	c.bind()
	c.Counter.AddWithExemplar(v, labels)
}

// LateGauge is a gauge of package level, of a mode that needs no time.
type LateGauge struct{ *Gauge }

var _ prometheus.Gauge = LateGauge{}

func (g LateGauge) bind() {
	if !g.bound() {
		g.Family.onUse()
	}
}

// Set implements prometheus.Gauge.
func (g LateGauge) Set(v float64) {
	g.bind()
	g.Gauge.Set(v)
}

// Add implements prometheus.Gauge.
func (g LateGauge) Add(v float64) {
	g.bind()
	g.Gauge.Add(v)
}

// Sub implements prometheus.Gauge.
func (g LateGauge) Sub(v float64) { g.Add(-v) }

// Inc implements prometheus.Gauge.
func (g LateGauge) Inc() { g.Add(1) }

// Dec implements prometheus.Gauge.
func (g LateGauge) Dec() { g.Add(-1) }

// SetToCurrentTime implements prometheus.Gauge.
func (g LateGauge) SetToCurrentTime() { g.Set(secondsNow()) }
