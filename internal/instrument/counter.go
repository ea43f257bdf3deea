package instrument

import (
	"errors"
	"math"
	"runtime"
	"sync"
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

// maxWhole is the largest number up to which float64 holds every whole number.
const maxWhole = 1 << 53

// Counter implements prometheus.Counter.
type Counter struct {
	Series

	// cells is where increments go: written by Use, Keep and Leave. nil until
	// the series is bound; see LateCounter.
	cells atomic.Pointer[counterCells]
	// former are the cells that were used before, nil once no late increment can
	// reach them. Written by Use, before cells, and by Settle.
	former atomic.Pointer[leftCells]
	onHeap atomic.Bool // cells are on the heap

	exemplars exemplars

	base *[layout.CounterWords]uint64 // the zero of Write; nil: zero. Written before the first update
}

var (
	_ Single                   = (*Counter)(nil)
	_ Drainer                  = (*Counter)(nil)
	_ prometheus.ExemplarAdder = (*Counter)(nil)
)

// CounterFamily makes the definition of a counter. CounterFamily panics for options that
// break a rule.
func CounterFamily(o prometheus.CounterOpts, labels prometheus.ConstrainableLabels) *Family {
	return NewFamily(layout.Family{
		Type: layout.Counter, Name: o.Name, Help: o.Help, Unit: o.Unit,
	}, labels, o.Namespace, o.Subsystem, o.ConstLabels)
}

// NewCounter makes a series of the family, which does not count yet.
func (f *Family) NewCounter(values ...string) *Counter {
	c := &Counter{}
	c.begin(c, f, values)
	return c
}

// A counter moves from the heap into a file in three steps, so that no increment is lost, also not
// by SIGKILL right after the increment has returned:
//
//  1. The mover stores the pointer to the new cells.
//  2. The mover reads each of the old cells and marks the cell as left, in one swap.
//  3. The mover adds the value of step 2 to the new cell.
//
// An increment that loaded the old pointer either comes before step 2, or finds the mark by the
// sum that its addition returns, and repeats itself on the new cell.
//
// Cells of a file get no mark, because a reader may still have the cells in its mapping. A late
// increment on cells of a file that is missing is moved on by Drain, within a tick.
const (
	// leftMark is the sign of an integer part: a counter that counts to half of 2^64 looks at the
	// pointer after each increment, and is right too.
	leftMark = 1 << 63
	// leftFloat is a signaling NaN: no sum is one.
	leftFloat = 0x7ff0_6d70_6d00_0004
)

// leftCells are cells that a counter has left.
type leftCells struct {
	cells  *counterCells
	onHeap bool // the cells get a mark; those of a file keep their values

	// draining is held while a value is taken from one word and added to another, so
	// that a goroutine that loads both words counts the value once.
	draining sync.Mutex
	taken    counterCells // the part of cells that was moved on; written by Drain alone
	marked   bool         // all of the cells was moved on
}

// Inc calls nothing, on purpose: a call, even a call that is never reached, would
// cost Inc a stack frame, a twentieth of its time.
func (c *Counter) Inc() {
	p := c.cells.Load()
	if int64(p[integerPart].Add(1)) < 0 {
		for now := c.cells.Load(); now != p; now = c.cells.Load() {
			p = now
			if int64(p[integerPart].Add(1)) >= 0 {
				break
			}
		}
	}
	runtime.KeepAlive(c) // the cells belong to no other series before
}

// Add implements prometheus.Counter.
func (c *Counter) Add(v float64) {
	if v < 0 {
		panic(errors.New("counter cannot decrease in value"))
	}
	p := c.cells.Load()
	if whole := int64(v); float64(whole) == v && whole <= maxWhole {
		if int64(p[integerPart].Add(uint64(whole))) < 0 {
			c.addLate(p, uint64(whole))
		}
	} else if old := p[floatPart].Load(); old == leftFloat || !p[floatPart].CompareAndSwap(old, plus(old, v)) {
		for !addContended(&p[floatPart], v) {
			p = c.cells.Load()
		}
	}
	runtime.KeepAlive(c)
}

// AddWithExemplar implements prometheus.ExemplarAdder.
func (c *Counter) AddWithExemplar(v float64, labels prometheus.Labels) {
	e := newExemplar(v, labels) // before Add: a panic must not leave a counted value
	c.Add(v)
	c.exemplars.set(c, 0, 1, e)
}

func (c *Counter) own() *exemplars   { return &c.exemplars }
func (c *Counter) bound(int) float64 { return math.NaN() }

// addLate repeats an addition that has found a mark, or half of 2^64, in the cells p.
func (c *Counter) addLate(p *counterCells, whole uint64) {
	for now := c.cells.Load(); now != p; now = c.cells.Load() {
		p = now
		if int64(p[integerPart].Add(whole)) >= 0 {
			return
		}
	}
}

// plus returns the bits of a sum.
func plus(bits uint64, v float64) uint64 {
	return math.Float64bits(math.Float64frombits(bits) + v)
}

// stepBack is some hundred nanoseconds of an empty loop.
const stepBack = 300

// addContended adds to a float part while another core adds to the word too. The core that lost
// the word steps back for a moment: a retry at once would take the cache line from the
// other core in the middle of its next addition, and both cores would make one addition
// in the time in which one core alone makes twenty. addContended returns false, and adds nothing,
// if the counter has left the word.
func addContended(word *atomic.Uint64, v float64) bool {
	for {
		for range stepBack {
		}
		old := word.Load()
		if old == leftFloat {
			return false
		}
		if word.CompareAndSwap(old, plus(old, v)) {
			return true
		}
	}
}

// Collect implements prometheus.Collector.
func (c *Counter) Collect(ch chan<- prometheus.Metric) { ch <- c }

// Write implements prometheus.Metric.
func (c *Counter) Write(out *dto.Metric) error {
	var value [layout.CounterWords]uint64
	c.Load(value[:])
	v := math.Float64frombits(value[floatPart])
	if b := c.base; b != nil {
		value[integerPart] -= b[integerPart]
		v -= math.Float64frombits(b[floatPart])
	}
	v += float64(value[integerPart])
	out.Label = c.LabelPairs()
	out.Counter = &dto.Counter{Value: &v, CreatedTimestamp: c.startTimestamp(), Exemplar: c.exemplars.get(0)}
	return nil
}

// Keep implements Instrument.
func (c *Counter) Keep() {
	c.onHeap.Store(true)
	c.cells.Store(new(counterCells))
}

// Use implements Instrument.
func (c *Counter) Use(cells []atomic.Uint64) {
	old := c.cells.Load()
	if old == nil {
		c.cells.Store((*counterCells)(cells))
		return
	}
	c.Drain() // of the cells before the old cells
	onHeap := c.onHeap.Load()
	c.former.Store(&leftCells{cells: old, onHeap: onHeap})
	c.cells.Store((*counterCells)(cells)) // 1
	c.onHeap.Store(false)
	c.Drain()
	if onHeap {
		c.former.Store(nil) // nothing is late
	}
}

// Drain implements Drainer. An increment that loaded the pointer to cells of a file before Use
// may arrive a moment later: the next call of Drain moves it.
func (c *Counter) Drain() {
	left, now := c.former.Load(), c.cells.Load()
	if left == nil {
		return
	}
	left.draining.Lock()
	defer left.draining.Unlock()
	if left.onHeap {
		if !left.marked {
			left.marked = true
			now[integerPart].Add(left.cells[integerPart].Swap(leftMark))  // 2, 3
			if bits := left.cells[floatPart].Swap(leftFloat); bits != 0 { // 2, 3
				addContended(&now[floatPart], math.Float64frombits(bits))
			}
		}
		return
	}
	left.mend()
	n, taken := left.cells[integerPart].Load(), left.taken[integerPart].Load()
	if n != taken {
		left.taken[integerPart].Store(n)
		now[integerPart].Add(n - taken)
	}
	bits, takenBits := left.cells[floatPart].Load(), left.taken[floatPart].Load()
	if bits != takenBits {
		left.taken[floatPart].Store(bits)
		addContended(&now[floatPart], math.Float64frombits(bits)-math.Float64frombits(takenBits))
	}
}

// mend notices that the file was cut, and the cells begin at zero again: both only grow otherwise.
// draining is held.
func (l *leftCells) mend() {
	if l.cells[integerPart].Load() < l.taken[integerPart].Load() {
		l.taken[integerPart].Store(0)
	}
	if math.Float64frombits(l.cells[floatPart].Load()) < math.Float64frombits(l.taken[floatPart].Load()) {
		l.taken[floatPart].Store(0)
	}
}

// rest returns what was not moved on yet. draining is held.
func (l *leftCells) rest() (whole uint64, fraction float64) {
	if l.marked {
		return 0, 0
	}
	l.mend()
	if bits, taken := l.cells[floatPart].Load(), l.taken[floatPart].Load(); bits != taken { // infinite values have no difference
		fraction = math.Float64frombits(bits) - math.Float64frombits(taken)
	}
	return l.cells[integerPart].Load() - l.taken[integerPart].Load(), fraction
}

// Load implements Instrument. Load retries when the counter moved meanwhile: the value in
// the former cells is counted in one place only.
func (c *Counter) Load(out []uint64) {
	for !c.tryLoad(out) {
		runtime.Gosched()
	}
}

func (c *Counter) tryLoad(out []uint64) bool {
	left := c.former.Load()
	if left != nil {
		left.draining.Lock()
		defer left.draining.Unlock()
	}
	p := c.cells.Load()
	clear(out)
	if p != nil {
		out[integerPart], out[floatPart] = p[integerPart].Load(), p[floatPart].Load()
	}
	if left != nil && left.cells != p { // otherwise Use is between its two stores
		whole, fraction := left.rest()
		out[integerPart] += whole
		out[floatPart] = plus(out[floatPart], fraction)
	}
	return c.former.Load() == left && c.cells.Load() == p
}

// Settle implements Drainer.
func (c *Counter) Settle() {
	c.Drain()
	c.former.Store(nil)
}

// Leave implements Instrument.
func (c *Counter) Leave() {
	heap, old := new(counterCells), c.cells.Load()
	if old == nil {
		return // the counter is being bound at this moment, and will find no file
	}
	for i := range heap {
		heap[i].Store(old[i].Load())
	}
	c.former.Store(nil)
	c.onHeap.Store(true)
	c.cells.Store(heap)
}

// Mend implements Instrument.
func (c *Counter) Mend() (empty bool) {
	p := c.cells.Load()
	return p[integerPart].Load() == 0 && p[floatPart].Load() == 0
}
