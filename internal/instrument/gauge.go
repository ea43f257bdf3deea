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
// A gauge has its cell in a file. On the heap, and for a minute after a move from one file into
// another, the gauge is aside: each update takes a lock.
//
// A move from the heap into a file ends that, under the lock. A gauge moves from one file into
// another in four steps, so that no Add and no last Set is lost:
//
//  1. The mover puts the gauge aside, and holds the lock. The mover stores nil as the pointer to the
//     cell.
//  2. The mover reads the old cell and stores Moved there, in one swap.
//  3. The mover stores the value of step 2 in the new cell, and drops the lock.
//  4. A minute later, Settle stores the pointer to the new cell: the gauge is aside no longer.
//
// Set and Add that loaded the old pointer before step 1 may come after step 2. Add compares and
// swaps: Add finds Moved, and repeats itself aside. Set swaps, because that is faster, so there may
// be a value in the old cell again for a moment. The Set that swapped out Moved takes the lock,
// takes what is in the old cell by then, of another late Set perhaps, and stores that value in the
// new cell. Whoever else takes the lock meanwhile does so first: a later Set drops the value of the
// old cell, and Add and Load go on with the value.
type Gauge struct {
	Series
	cell  atomic.Pointer[atomic.Uint64] // in a file; nil while the gauge is aside, or not bound yet; see LateGauge
	aside atomic.Pointer[aside]         // nil while the gauge is not aside
}

// aside is the state of a gauge whose updates take a lock. The lock is held for some instructions.
type aside struct {
	locked atomic.Bool
	over   bool                          // the gauge is aside no longer; guarded by locked
	cell   atomic.Pointer[atomic.Uint64] // in a file, or heap
	heap   atomic.Uint64
	former *atomic.Uint64 // the cell of the file before, nil for none
}

// newAside returns the state of a gauge on the heap.
func newAside(word uint64) *aside {
	a := &aside{}
	a.heap.Store(word)
	a.cell.Store(&a.heap)
	return a
}

// lock takes the lock. lock returns false if the gauge is aside no longer.
func (a *aside) lock() bool {
	for !a.locked.CompareAndSwap(false, true) {
		runtime.Gosched()
	}
	if a.over {
		a.unlock()
		return false
	}
	return true
}

func (a *aside) unlock() { a.locked.Store(false) }

// drain takes the value of late updates from the former cell. The lock is held.
func (a *aside) drain() {
	if a.former == nil {
		return
	}
	word := a.former.Swap(layout.GaugeMoved)
	if word != layout.GaugeMoved && word != layout.GaugeNeverSet { // never set: the file was cut
		a.cell.Load().Store(word)
	}
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
	_ Drainer  = (*Gauge)(nil)
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
	for p == nil || p.Swap(word) == layout.GaugeMoved {
		for a := g.aside.Load(); a != nil; a = g.aside.Load() {
			if !a.locked.CompareAndSwap(false, true) {
				continue
			}
			over := a.over
			switch {
			case over:
			case p != nil: // a late Set
				if late := p.Swap(layout.GaugeMoved); late != layout.GaugeMoved && late != layout.GaugeNeverSet {
					a.cell.Load().Store(late)
				}
			case a.former != nil: // the values there are older
				a.former.Store(layout.GaugeMoved)
				a.cell.Load().Store(word)
			default:
				a.cell.Load().Store(word)
			}
			a.locked.Store(false)
			if !over {
				runtime.KeepAlive(g)
				return
			}
		}
		p = g.cell.Load()
	}
	runtime.KeepAlive(g) // the cell belongs to no other series before
}

// Add implements prometheus.Gauge.
func (g *Gauge) Add(v float64) {
	for !g.tryAdd(v) {
		runtime.Gosched() // somebody is between two steps
	}
	runtime.KeepAlive(g)
}

func (g *Gauge) tryAdd(v float64) bool {
	if p := g.cell.Load(); p != nil {
		for {
			old := p.Load()
			if old == layout.GaugeMoved {
				return false
			}
			value, _ := layout.DecodeGauge(old)
			if p.CompareAndSwap(old, layout.EncodeGauge(value+v)) {
				return true
			}
		}
	}
	a := g.aside.Load()
	if a == nil || !a.lock() {
		return false
	}
	defer a.unlock()
	a.drain()
	cell := a.cell.Load()
	value, _ := layout.DecodeGauge(cell.Load())
	cell.Store(layout.EncodeGauge(value + v))
	return true
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

// Load implements Instrument.
func (g *Gauge) Load(out []uint64) {
	for !g.tryLoad(out) {
		runtime.Gosched()
	}
	runtime.KeepAlive(g)
}

func (g *Gauge) tryLoad(out []uint64) bool {
	if p := g.cell.Load(); p != nil {
		out[0] = p.Load()
		return out[0] != layout.GaugeMoved
	}
	a := g.aside.Load()
	if a == nil {
		out[0] = layout.GaugeNeverSet
		return g.cell.Load() == nil // not bound yet
	}
	if !a.lock() {
		return false
	}
	defer a.unlock()
	a.drain()
	out[0] = a.cell.Load().Load()
	return true
}

// bound reports whether the gauge counts anywhere.
func (g *Gauge) bound() bool {
	// A gauge that is aside no longer has a cell first.
	return g.cell.Load() != nil || g.aside.Load() != nil || g.cell.Load() != nil
}

// Keep implements Instrument.
func (g *Gauge) Keep() { g.aside.Store(newAside(layout.GaugeNeverSet)) }

// Use implements Instrument.
func (g *Gauge) Use(cells []atomic.Uint64) {
	to := &cells[0]
	if a := g.aside.Load(); a != nil && a.lock() {
		defer a.unlock()
		a.drain()
		to.Store(a.cell.Load().Load())
		a.cell.Store(to)
		if a.former == nil {
			g.end(a)
		}
		return
	}
	old := g.cell.Load()
	if old == nil {
		g.cell.Store(to)
		return
	}
	a := &aside{former: old}
	a.cell.Store(to)
	a.locked.Store(true)
	g.aside.Store(a) // 1
	g.cell.Store(nil)
	to.Store(old.Swap(layout.GaugeMoved)) // 2, 3
	a.unlock()
}

// end lets a gauge be aside no longer. The lock is held.
func (g *Gauge) end(a *aside) {
	a.over = true
	g.cell.Store(a.cell.Load())
	g.aside.Store(nil)
}

// Drain implements Drainer.
func (g *Gauge) Drain() {
	if a := g.aside.Load(); a != nil && a.lock() {
		defer a.unlock() // also after a fault
		a.drain()
	}
}

// Settle implements Drainer.
func (g *Gauge) Settle() {
	a := g.aside.Load()
	if a == nil || !a.lock() {
		return
	}
	defer a.unlock()
	a.drain()
	if a.former != nil {
		g.end(a) // 4
	}
}

// Leave implements Instrument. Leave copies the value, because the file keeps its value
// too: an update meanwhile reaches the file alone. Leave waits for no lock: a thread of the
// parent of a forked process may have had the lock.
func (g *Gauge) Leave() {
	from := g.cell.Load()
	if a := g.aside.Load(); a != nil {
		from = a.cell.Load()
	}
	if from == nil {
		return // the gauge is being bound at this moment, and will find no file
	}
	g.aside.Store(newAside(from.Load()))
	g.cell.Store(nil)
}

// Mend implements Instrument. One word is there or not: nothing is to be mended.
func (g *Gauge) Mend() (empty bool) {
	var word [layout.GaugeWords]uint64
	g.Load(word[:])
	return word[0] == layout.GaugeNeverSet
}

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
