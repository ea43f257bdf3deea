package store

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

// maxWhole is where float64 stops to hold every whole number.
const maxWhole = 1 << 53

// counter implements prometheus.Counter.
type counter struct {
	series

	// cells is where increments go: written by use, keep and leave. nil until
	// the series is bound; see lateCounter.
	cells atomic.Pointer[counterCells]
	// behind are the cells that were used before, nil once no late increment can
	// reach them. Written by use, before cells, and by settle.
	behind atomic.Pointer[leftCells]

	exemplars exemplars
}

var (
	_ prometheus.ExemplarAdder = (*counter)(nil)
	_ prometheus.ExemplarAdder = lateCounter{}
)

// AddWithExemplar implements prometheus.ExemplarAdder.
func (c *counter) AddWithExemplar(v float64, labels prometheus.Labels) {
	e := newExemplar(v, labels) // or the value would count, and the panic come later
	c.Add(v)
	c.exemplars.set(c, 0, 1, e)
}

func (c *counter) own() *exemplars   { return &c.exemplars }
func (c *counter) bound(int) float64 { return math.NaN() }

// leftCells are cells that a counter has left. They keep what is in them, since
// a reader may still have them in its mapping.
type leftCells struct {
	cells *counterCells

	// draining is held while something is taken from one and added to the other, so
	// that nobody who loads both misses it.
	draining sync.Mutex
	taken    counterCells // what of them was moved on; written by drain alone
}

// Inc calls nothing, on purpose: a call, even one that is never reached, would
// cost it a stack frame, a twentieth of its time.
func (c *counter) Inc() {
	c.cells.Load()[integerPart].Add(1)
	runtime.KeepAlive(c) // its cells are not another's before
}

func (c *counter) Add(v float64) {
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

// addFloat adds to a word that holds the bits of a float64.
func addFloat(word *atomic.Uint64, v float64) {
	if old := word.Load(); !word.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+v)) {
		addContended(word, v)
	}
}

// stepBack is some hundred nanoseconds of an empty loop.
const stepBack = 300

// addContended is addFloat when another core adds to the word too. Who did not get it
// steps back for a moment: to try again at once would take the cache line from the
// other in the middle of its next addition, and both would make one where one of them, left
// alone, makes twenty.
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
func (c *counter) Collect(ch chan<- prometheus.Metric) { ch <- c }

// Write implements prometheus.Metric.
func (c *counter) Write(out *dto.Metric) error {
	var value [layout.CounterWords]uint64
	c.load(value[:])
	v := float64(value[integerPart]) + math.Float64frombits(value[floatPart])
	out.Label = c.labelPairs()
	out.Counter = &dto.Counter{Value: &v, CreatedTimestamp: c.startTimestamp(), Exemplar: c.exemplars.get(0)}
	return nil
}

func (c *counter) keep() { c.cells.Store(new(counterCells)) }

func (c *counter) use(cells []atomic.Uint64) {
	old := c.cells.Load()
	if old == nil {
		c.cells.Store((*counterCells)(cells))
		return
	}
	c.drain() // of the cells before the old ones
	c.behind.Store(&leftCells{cells: old})
	c.cells.Store((*counterCells)(cells))
	c.drain()
}

// drain moves on what is in the cells left behind. An increment that loaded the
// old pointer before use may come a moment later: it is moved by the next call.
func (c *counter) drain() {
	left, now := c.behind.Load(), c.cells.Load()
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

// load tries again when the counter moved meanwhile: what it left behind is counted
// in one place only.
func (c *counter) load(out []uint64) {
	for !c.tryLoad(out) {
		runtime.Gosched()
	}
}

func (c *counter) tryLoad(out []uint64) bool {
	left := c.behind.Load()
	if left != nil {
		left.draining.Lock()
		defer left.draining.Unlock()
	}
	p := c.cells.Load()
	clear(out)
	if p != nil {
		out[integerPart], out[floatPart] = p[integerPart].Load(), p[floatPart].Load()
	}
	if left != nil && left.cells != p { // or use is between its two stores
		out[integerPart] += left.cells[integerPart].Load() - left.taken[integerPart].Load()
		late := math.Float64frombits(left.cells[floatPart].Load()) - math.Float64frombits(left.taken[floatPart].Load())
		out[floatPart] = math.Float64bits(math.Float64frombits(out[floatPart]) + late)
	}
	return c.behind.Load() == left && c.cells.Load() == p
}

func (c *counter) settle() {
	c.drain()
	c.behind.Store(nil)
}

func (c *counter) leave() {
	heap, old := new(counterCells), c.cells.Load()
	if old == nil {
		return // it is being bound at this moment, and finds no file any more
	}
	for i := range heap {
		heap[i].Store(old[i].Load())
	}
	c.behind.Store(nil)
	c.cells.Store(heap)
}

func (c *counter) forsake() {
	c.behind.Store(nil)
	c.keep()
}

func (c *counter) mend() (anew bool) {
	p := c.cells.Load()
	return p[integerPart].Load() == 0 && p[floatPart].Load() == 0
}

func (f *family) newCounter(values ...string) *counter {
	c := &counter{}
	c.begin(f, values)
	return c
}

func counterFamily(o prometheus.CounterOpts, labels prometheus.ConstrainableLabels) *family {
	return newFamily(layout.Family{
		Type: layout.Counter, Name: o.Name, Help: o.Help, Unit: o.Unit,
	}, labels, o.Namespace, o.Subsystem, o.ConstLabels)
}

func makeCounter(s *Store, o prometheus.CounterOpts) prometheus.Counter {
	f := counterFamily(o, nil)
	c := define(s, f, f.newCounter())
	if s == nil {
		return lateCounter{c}
	}
	return c
}

func makeCounterVec(s *Store, o prometheus.CounterOpts, labels prometheus.ConstrainableLabels) *prometheus.CounterVec {
	f := counterFamily(o, labels)
	return &prometheus.CounterVec{MetricVec: defineVec(s, f, func(values ...string) instrument { return f.newCounter(values...) })}
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
