package instrument

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Gauge implements prometheus.Gauge for the modes that need no time.
//
// A gauge moves between cells in four steps, so that no Add and no last Set is
// lost:
//
//  1. The mover stores Pending in the new cell.
//  2. The mover stores the pointer to the new cell.
//  3. The mover reads the old cell and stores Moved there, in one swap.
//  4. The mover stores the value of step 3 in the new cell, unless the new cell was set
//     meanwhile.
//
// Add: while the cell holds Moved or Pending, reload the pointer and retry.
// A Set that swapped out Moved ran after step 3: the Set stores Moved again, and repeats
// itself on the new cell with the value that the second swap found.
type Gauge struct {
	Series
	cell atomic.Pointer[atomic.Uint64] // nil until the series is bound; see LateGauge
}

// GaugeFamily makes the definition of a gauge of a mode. GaugeFamily panics for options
// that break a rule.
func GaugeFamily(o prometheus.GaugeOpts, labels prometheus.ConstrainableLabels, mode layout.Mode) *Family {
	return NewFamily(layout.Family{
		Type: layout.Gauge, Mode: mode, Name: o.Name, Help: o.Help, Unit: o.Unit,
	}, labels, o.Namespace, o.Subsystem, o.ConstLabels)
}

// AnyGauge is a gauge of either kind.
type AnyGauge interface {
	prometheus.Gauge
	Single
}

var (
	_ AnyGauge = (*Gauge)(nil)
	_ AnyGauge = (*TimedGauge)(nil)
)

// NewGauge makes a series of the family, of the kind that the mode needs. The series does
// not count yet.
func (f *Family) NewGauge(values ...string) AnyGauge {
	if f.Def.Mode.Timed() {
		g := &TimedGauge{}
		g.begin(g, f, values)
		return g
	}
	g := &Gauge{}
	g.begin(g, f, values)
	return g
}

// Set calls nothing, as Counter.Inc.
func (g *Gauge) Set(v float64) {
	p, word := g.cell.Load(), layout.EncodeGauge(v)
	for p.Swap(word) == layout.GaugeMoved {
		word = p.Swap(layout.GaugeMoved)
		p = g.cell.Load()
	}
	runtime.KeepAlive(g) // the cell belongs to no other series before
}

// Add implements prometheus.Gauge.
func (g *Gauge) Add(v float64) {
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

// Sub implements prometheus.Gauge.
func (g *Gauge) Sub(v float64) { g.Add(-v) }

// Inc implements prometheus.Gauge.
func (g *Gauge) Inc() { g.Add(1) }

// Dec implements prometheus.Gauge.
func (g *Gauge) Dec() { g.Add(-1) }

// SetToCurrentTime implements prometheus.Gauge.
func (g *Gauge) SetToCurrentTime() { g.Set(secondsNow()) }

func secondsNow() float64 { return float64(time.Now().UnixNano()) / 1e9 }

// Collect implements prometheus.Collector.
func (g *Gauge) Collect(ch chan<- prometheus.Metric) { ch <- g }

// Write implements prometheus.Metric.
func (g *Gauge) Write(out *dto.Metric) error {
	var word [layout.GaugeWords]uint64
	g.Load(word[:])
	v, _ := layout.DecodeGauge(word[0])
	out.Label = g.LabelPairs()
	out.Gauge = &dto.Gauge{Value: &v}
	return nil
}

// Load implements Instrument. Load waits for a mover between two of its steps.
func (g *Gauge) Load(out []uint64) {
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

// Keep implements Instrument.
func (g *Gauge) Keep() { g.cell.Store(new(atomic.Uint64)) }

// Use implements Instrument.
func (g *Gauge) Use(cells []atomic.Uint64) {
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

// Leave implements Instrument. Leave copies the value, because the file keeps its value
// too: an update between the last two lines reaches the file alone.
func (g *Gauge) Leave() {
	heap, old := new(atomic.Uint64), g.cell.Load()
	if old == nil {
		return // the gauge is being bound at this moment, and will find no file
	}
	heap.Store(old.Load())
	g.cell.Store(heap)
}

// Mend implements Instrument. One word is there or not: nothing is to be mended.
func (g *Gauge) Mend() (empty bool) { return g.cell.Load().Load() == layout.GaugeNeverSet }

// TimedGauge implements prometheus.Gauge for the modes in which the time of an
// update decides.
type TimedGauge struct {
	Series
	group group
}

// Set implements prometheus.Gauge.
func (g *TimedGauge) Set(v float64) { g.update(func(float64) float64 { return v }) }

// Add implements prometheus.Gauge.
func (g *TimedGauge) Add(v float64) { g.update(func(old float64) float64 { return old + v }) }

// Sub implements prometheus.Gauge.
func (g *TimedGauge) Sub(v float64) { g.Add(-v) }

// Inc implements prometheus.Gauge.
func (g *TimedGauge) Inc() { g.Add(1) }

// Dec implements prometheus.Gauge.
func (g *TimedGauge) Dec() { g.Add(-1) }

// SetToCurrentTime implements prometheus.Gauge.
func (g *TimedGauge) SetToCurrentTime() { g.Set(secondsNow()) }

func (g *TimedGauge) update(next func(old float64) float64) {
	if !g.group.lock() {
		g.group.rebind(&g.Series)
	}
	defer g.group.mu.Unlock()
	g.group.commitTimed(next, time.Now().UnixNano())
}

// Collect implements prometheus.Collector.
func (g *TimedGauge) Collect(ch chan<- prometheus.Metric) { ch <- g }

// Write implements prometheus.Metric.
func (g *TimedGauge) Write(out *dto.Metric) error {
	_, v := g.group.read()
	out.Label = g.LabelPairs()
	out.Gauge = &dto.Gauge{Value: &v}
	return nil
}

// Keep implements Instrument.
func (g *TimedGauge) Keep() { g.group.keep(layout.TimedWords) }

// Use implements Instrument.
func (g *TimedGauge) Use(cells []atomic.Uint64) { g.group.use(cells) }

// Load implements Instrument.
func (g *TimedGauge) Load(out []uint64) { g.group.loadTimed(out) }

// Leave implements Instrument.
func (g *TimedGauge) Leave() { g.Keep() }

// Mend implements Instrument.
func (g *TimedGauge) Mend() (empty bool) { return g.group.empty() }
