package store

import (
	"errors"
	"math"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// counterCells are the two cells of a counter: integer part and float part.
type counterCells = [layout.CounterWords]atomic.Uint64

const (
	integerPart = 0
	floatPart   = 1
)

// maxWhole is where float64 stops to hold every whole number.
const maxWhole = 1 << 53

// counter implements prometheus.Counter.
type counter struct {
	series

	// cells is where increments go: written by use, keep and leave. nil until
	// the series is bound; see lateCounter.
	cells atomic.Pointer[counterCells]
	// behind are the heap cells that were used before. Written by use, before
	// cells; late increments reach it, drain takes them out.
	behind atomic.Pointer[counterCells]
}

// Inc calls nothing, on purpose: a call, even one that is never reached, would
// cost it a stack frame, a twentieth of its time.
func (c *counter) Inc() { c.cells.Load()[integerPart].Add(1) }

func (c *counter) Add(v float64) {
	if v < 0 {
		panic(errors.New("counter cannot decrease in value"))
	}
	p := c.cells.Load()
	if whole := int64(v); float64(whole) == v && whole <= maxWhole {
		p[integerPart].Add(uint64(whole))
		return
	}
	addFloat(&p[floatPart], v)
}

// addFloat adds to a word that holds the bits of a float64.
func addFloat(word *atomic.Uint64, v float64) {
	for {
		old := word.Load()
		if word.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
		}
	}
}

// Collect implements prometheus.Collector.
func (c *counter) Collect(ch chan<- prometheus.Metric) { ch <- c }

// Write implements prometheus.Metric.
func (c *counter) Write(out *dto.Metric) error {
	var v float64
	for _, p := range []*counterCells{c.cells.Load(), c.behind.Load()} {
		if p != nil {
			v += float64(p[integerPart].Load()) + math.Float64frombits(p[floatPart].Load())
		}
	}
	out.Label = c.labelPairs()
	out.Counter = &dto.Counter{Value: &v, CreatedTimestamp: c.startTimestamp()}
	return nil
}

func (c *counter) keep() { c.cells.Store(new(counterCells)) }

func (c *counter) use(cells []atomic.Uint64) {
	old := c.cells.Load()
	c.behind.Store(old)
	c.cells.Store((*counterCells)(cells))
	if old != nil {
		c.drain()
	}
}

// drain moves what reached the cells left behind. An increment that loaded
// the old pointer before use may come a moment later: it is moved by the next
// call.
func (c *counter) drain() {
	old, now := c.behind.Load(), c.cells.Load()
	if n := old[integerPart].Swap(0); n != 0 {
		now[integerPart].Add(n)
	}
	if bits := old[floatPart].Swap(0); bits != 0 {
		addFloat(&now[floatPart], math.Float64frombits(bits))
	}
}

func (c *counter) leave() {
	heap, old := new(counterCells), c.cells.Load()
	if old == nil {
		return // it is being bound at this moment, and finds no file any more
	}
	for i := range heap {
		heap[i].Store(old[i].Load())
	}
	c.cells.Store(heap)
}

func (f *family) newCounter(values ...string) *counter {
	return &counter{series: f.series(values)}
}

func counterFamily(o prometheus.CounterOpts, labelNames []string) *family {
	return newFamily(layout.Family{
		Type: layout.Counter, Name: o.Name, Help: o.Help, Unit: o.Unit, LabelNames: labelNames,
	}, o.Namespace, o.Subsystem, o.ConstLabels)
}

func makeCounter(s *Store, o prometheus.CounterOpts) prometheus.Counter {
	f := counterFamily(o, nil)
	c := define(s, f, f.newCounter())
	if s == nil {
		return lateCounter{c}
	}
	return c
}

func makeCounterVec(s *Store, o prometheus.CounterOpts, labelNames []string) *prometheus.CounterVec {
	f := counterFamily(o, labelNames)
	return &prometheus.CounterVec{MetricVec: defineVec(s, f, func(values ...string) instrument { return f.newCounter(values...) })}
}

// NewCounter makes a counter of this store. It needs no registration. It
// panics, as promauto does, when the definition is invalid or a duplicate.
//
// Inc is one atomic addition in the file of this process: it survives SIGKILL
// from the moment it returns. Add panics for a negative value. A value that is
// whole and at most 2^53 is added exactly; the others are summed as float64.
func (s *Store) NewCounter(o prometheus.CounterOpts) prometheus.Counter { return makeCounter(s, o) }

// NewCounterVec makes a vec of counters of this store; see NewCounter.
func (s *Store) NewCounterVec(o prometheus.CounterOpts, labelNames []string) *prometheus.CounterVec {
	return makeCounterVec(s, o, labelNames)
}

// NewCounter makes a counter of the default store; see Store.NewCounter.
func NewCounter(o prometheus.CounterOpts) prometheus.Counter { return makeCounter(nil, o) }

// NewCounterVec makes a vec of counters of the default store; see Store.NewCounter.
func NewCounterVec(o prometheus.CounterOpts, labelNames []string) *prometheus.CounterVec {
	return makeCounterVec(nil, o, labelNames)
}
