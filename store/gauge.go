package store

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// gauge implements prometheus.Gauge for the modes that need no time.
//
// A gauge moves between cells in four steps, so that no Add and no last Set is
// lost:
//
//  1. the new cell says pending
//  2. the pointer leads to the new cell
//  3. the old cell is read and says moved, at once
//  4. the new cell takes that value, unless somebody has set it meanwhile
//
// Who wants to add to a cell that says moved or pending looks at the pointer
// again. Who has set a cell that said moved came after step 3: it puts moved
// back and carries what it finds over to the new cell.
type gauge struct {
	series
	cell atomic.Pointer[atomic.Uint64] // nil until the series is bound; see lateGauge
}

// Set calls nothing, as counter.Inc.
func (g *gauge) Set(v float64) {
	p, word := g.cell.Load(), layout.EncodeGauge(v)
	for p.Swap(word) == layout.GaugeMoved {
		word = p.Swap(layout.GaugeMoved)
		p = g.cell.Load()
	}
	runtime.KeepAlive(g) // its cell is not another's before
}

func (g *gauge) Add(v float64) {
	for {
		p := g.cell.Load()
		old := p.Load()
		if old == layout.GaugeMoved || old == layout.GaugePending {
			runtime.Gosched() // the mover is between two of its steps
			continue
		}
		value, _ := layout.DecodeGauge(old)
		if p.CompareAndSwap(old, layout.EncodeGauge(value+v)) {
			runtime.KeepAlive(g)
			return
		}
	}
}

func (g *gauge) Sub(v float64)     { g.Add(-v) }
func (g *gauge) Inc()              { g.Add(1) }
func (g *gauge) Dec()              { g.Add(-1) }
func (g *gauge) SetToCurrentTime() { g.Set(secondsNow()) }

func secondsNow() float64 { return float64(time.Now().UnixNano()) / 1e9 }

// Collect implements prometheus.Collector.
func (g *gauge) Collect(ch chan<- prometheus.Metric) { ch <- g }

// Write implements prometheus.Metric.
func (g *gauge) Write(out *dto.Metric) error {
	var word [layout.GaugeWords]uint64
	g.load(word[:])
	v, _ := layout.DecodeGauge(word[0])
	out.Label = g.labelPairs()
	out.Gauge = &dto.Gauge{Value: &v}
	return nil
}

// load waits for a mover between two of its steps.
func (g *gauge) load(out []uint64) {
	out[0] = layout.GaugeNeverSet
	for p := g.cell.Load(); p != nil; p = g.cell.Load() {
		if word := p.Load(); word != layout.GaugeMoved && word != layout.GaugePending {
			out[0] = word
			break
		}
		runtime.Gosched()
	}
	runtime.KeepAlive(g)
}

func (g *gauge) keep() { g.cell.Store(new(atomic.Uint64)) }

func (g *gauge) use(cells []atomic.Uint64) {
	to, old := &cells[0], g.cell.Load()
	if old == nil {
		g.cell.Store(to)
		return
	}
	to.Store(layout.GaugePending)                 // 1
	g.cell.Store(to)                              // 2
	value := old.Swap(layout.GaugeMoved)          // 3
	to.CompareAndSwap(layout.GaugePending, value) // 4
}

// leave copies, since the file keeps its value: an update that comes between
// the two lines reaches the file alone.
func (g *gauge) leave() {
	heap, old := new(atomic.Uint64), g.cell.Load()
	if old == nil {
		return // it is being bound at this moment, and finds no file any more
	}
	heap.Store(old.Load())
	g.cell.Store(heap)
}

func (g *gauge) forsake() { g.keep() }

// mend has nothing to mend: one word is there or not.
func (g *gauge) mend() (anew bool) { return g.cell.Load().Load() == layout.GaugeNeverSet }

// timedGauge implements prometheus.Gauge for the modes in which the time of an
// update decides.
type timedGauge struct {
	series
	group group
}

func (g *timedGauge) Set(v float64) { g.update(func(float64) float64 { return v }) }
func (g *timedGauge) Add(v float64) { g.update(func(old float64) float64 { return old + v }) }

func (g *timedGauge) Sub(v float64)     { g.Add(-v) }
func (g *timedGauge) Inc()              { g.Add(1) }
func (g *timedGauge) Dec()              { g.Add(-1) }
func (g *timedGauge) SetToCurrentTime() { g.Set(secondsNow()) }

func (g *timedGauge) update(next func(old float64) float64) {
	g.group.lock()
	defer g.group.mu.Unlock()
	g.group.commitTimed(next, time.Now().UnixNano())
}

// Collect implements prometheus.Collector.
func (g *timedGauge) Collect(ch chan<- prometheus.Metric) { ch <- g }

// Write implements prometheus.Metric.
func (g *timedGauge) Write(out *dto.Metric) error {
	_, v := g.group.read()
	out.Label = g.labelPairs()
	out.Gauge = &dto.Gauge{Value: &v}
	return nil
}

func (g *timedGauge) keep()                     { g.group.keep(layout.TimedWords) }
func (g *timedGauge) use(cells []atomic.Uint64) { g.group.use(cells) }
func (g *timedGauge) load(out []uint64)         { g.group.loadTimed(out) }
func (g *timedGauge) leave()                    { g.keep() }
func (g *timedGauge) forsake()                  { g.group.forsake() }
func (g *timedGauge) mend() (anew bool)         { return g.group.empty() }

// gaugeInstrument is a gauge of either kind.
type gaugeInstrument interface {
	prometheus.Gauge
	single
}

var (
	_ gaugeInstrument = (*gauge)(nil)
	_ gaugeInstrument = (*timedGauge)(nil)
)

func (f *family) newGauge(values ...string) gaugeInstrument {
	if f.def.Mode.Timed() {
		g := &timedGauge{}
		g.begin(f, values)
		return g
	}
	g := &gauge{}
	g.begin(f, values)
	return g
}

func gaugeFamily(o prometheus.GaugeOpts, labels prometheus.ConstrainableLabels, mode []GaugeMode) *family {
	return newFamily(layout.Family{
		Type: layout.Gauge, Mode: modeOf(prometheus.BuildFQName(o.Namespace, o.Subsystem, o.Name), mode),
		Name: o.Name, Help: o.Help, Unit: o.Unit,
	}, labels, o.Namespace, o.Subsystem, o.ConstLabels)
}

func makeGauge(s *Store, o prometheus.GaugeOpts, mode []GaugeMode) prometheus.Gauge {
	f := gaugeFamily(o, nil, mode)
	i := define(s, f, f.newGauge())
	if g, plain := i.(*gauge); plain && s == nil {
		return lateGauge{g}
	}
	return i
}

func makeGaugeVec(s *Store, o prometheus.GaugeOpts, labels prometheus.ConstrainableLabels, mode []GaugeMode) *prometheus.GaugeVec {
	f := gaugeFamily(o, labels, mode)
	return &prometheus.GaugeVec{MetricVec: defineVec(s, f, func(values ...string) instrument { return f.newGauge(values...) })}
}

// NewGauge makes a gauge of this store, with at most one mode. It needs no
// registration. It panics when the definition is invalid or a duplicate, and
// for a label "process" of an All or LiveAll gauge, which that mode adds itself.
func (s *Store) NewGauge(o prometheus.GaugeOpts, mode ...GaugeMode) prometheus.Gauge {
	return makeGauge(s, o, mode)
}

// NewGaugeVec makes a vec of gauges of this store; see NewGauge. What is
// deleted from it leaves the merged output; the package comment says the rest.
func (s *Store) NewGaugeVec(o prometheus.GaugeOpts, labelNames []string, mode ...GaugeMode) *prometheus.GaugeVec {
	return makeGaugeVec(s, o, prometheus.UnconstrainedLabels(labelNames), mode)
}

// NewGauge makes a gauge of the default store; see Store.NewGauge.
func NewGauge(o prometheus.GaugeOpts, mode ...GaugeMode) prometheus.Gauge {
	return makeGauge(nil, o, mode)
}

// NewGaugeVec makes a vec of gauges of the default store; see Store.NewGauge.
func NewGaugeVec(o prometheus.GaugeOpts, labelNames []string, mode ...GaugeMode) *prometheus.GaugeVec {
	return makeGaugeVec(nil, o, prometheus.UnconstrainedLabels(labelNames), mode)
}
