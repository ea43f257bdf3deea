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

// leftCells are cells that a counter has left. The cells keep their values, because
// a reader may still have them in its mapping.
type leftCells struct {
	cells *counterCells

	// draining is held while a value is taken from one word and added to another, so
	// that a goroutine that loads both words counts the value once.
	draining sync.Mutex
	taken    counterCells // the part of cells that was moved on; written by Drain alone
}

// Inc calls nothing, on purpose: a call, even a call that is never reached, would
// cost Inc a stack frame, a twentieth of its time.
func (c *Counter) Inc() {
	c.cells.Load()[integerPart].Add(1)
	runtime.KeepAlive(c) // the cells belong to no other series before
}

// Add implements prometheus.Counter.
func (c *Counter) Add(v float64) {
	if v < 0 {
		panic(errors.New("counter cannot decrease in value"))
	}
	p := c.cells.Load()
	if whole := int64(v); float64(whole) == v && whole <= maxWhole {
		p[integerPart].Add(uint64(whole))
	} else {
		addFloat(&p[floatPart], v)
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

// addFloat adds to a word that holds the bits of a float64.
func addFloat(word *atomic.Uint64, v float64) {
	if old := word.Load(); !word.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
		addContended(word, v)
	}
}

// stepBack is some hundred nanoseconds of an empty loop.
const stepBack = 300

// addContended is addFloat while another core adds to the word too. The core that lost
// the word steps back for a moment: a retry at once would take the cache line from the
// other core in the middle of its next addition, and both cores would make one addition
// in the time in which one core alone makes twenty.
func addContended(word *atomic.Uint64, v float64) {
	for {
		for range stepBack {
		}
		if old := word.Load(); word.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
			return
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
func (c *Counter) Keep() { c.cells.Store(new(counterCells)) }

// Use implements Instrument.
func (c *Counter) Use(cells []atomic.Uint64) {
	old := c.cells.Load()
	if old == nil {
		c.cells.Store((*counterCells)(cells))
		return
	}
	c.Drain() // of the cells before the old cells
	c.former.Store(&leftCells{cells: old})
	c.cells.Store((*counterCells)(cells))
	c.Drain()
}

// Drain implements Drainer. An increment that loaded the old pointer before Use may
// arrive a moment later: the next call of Drain moves it.
func (c *Counter) Drain() {
	left, now := c.former.Load(), c.cells.Load()
	if left == nil {
		return
	}
	left.draining.Lock()
	defer left.draining.Unlock()
	n, taken := left.cells[integerPart].Load(), left.taken[integerPart].Load()
	if n != taken {
		left.taken[integerPart].Store(n)
		now[integerPart].Add(n - taken)
	}
	bits, takenBits := left.cells[floatPart].Load(), left.taken[floatPart].Load()
	if bits != takenBits {
		left.taken[floatPart].Store(bits)
		addFloat(&now[floatPart], math.Float64frombits(bits)-math.Float64frombits(takenBits))
	}
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
		out[integerPart] += left.cells[integerPart].Load() - left.taken[integerPart].Load()
		late := math.Float64frombits(left.cells[floatPart].Load()) - math.Float64frombits(left.taken[floatPart].Load())
		out[floatPart] = math.Float64bits(math.Float64frombits(out[floatPart]) + late)
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
	c.cells.Store(heap)
}

// Mend implements Instrument.
func (c *Counter) Mend() (empty bool) {
	p := c.cells.Load()
	return p[integerPart].Load() == 0 && p[floatPart].Load() == 0
}
