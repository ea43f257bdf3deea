package instrument

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// hammer calls update from several goroutines and move in between, and returns
// how often update was called.
func hammer(update func(), move func()) int {
	const workers, each = 4, 300
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for range workers {
		wg.Go(func() {
			<-begin
			for range each {
				update()
			}
		})
	}
	close(begin)
	move()
	wg.Wait()
	return workers * each
}

// words are cells as a file has them: zero.
func words(n int) []atomic.Uint64 { return make([]atomic.Uint64, n) }

func written(t *testing.T, m prometheus.Metric) *dto.Metric {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// An instrument that moves under its users loses nothing and counts nothing
// twice, whichever instruction each of them is at.
func TestMoveCounter(t *testing.T) {
	f := CounterFamily(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil)
	for range 200 {
		c := f.NewCounter()
		c.Keep()
		cells := words(layout.CounterWords)
		n := hammer(func() { c.Inc(); c.Add(0.5) }, func() { c.Use(cells) })
		c.Drain()
		if got, want := cells[integerPart].Load(), uint64(n); got != want {
			t.Fatalf("integer part of the new cells: got %d, want %d", got, want)
		}
		if got, want := written(t, c).Counter.GetValue(), 1.5*float64(n); got != want {
			t.Fatalf("value: got %v, want %v", got, want)
		}
	}
}

func TestMoveGauge(t *testing.T) {
	f := GaugeFamily(prometheus.GaugeOpts{Name: "g", Help: "h"}, nil, layout.LiveSum)
	for range 200 {
		g := f.NewGauge().(*Gauge)
		g.Keep()
		last := words(1)
		n := hammer(g.Inc, func() {
			for range 5 {
				g.Use(words(1))
			}
			g.Use(last)
		})
		v, set := layout.DecodeGauge(last[0].Load())
		if want := float64(n); v != want || !set {
			t.Fatalf("last cell: got %v (set: %v), want %v", v, set, want)
		}
	}
}

// A Set that returned is what the gauge reads, also when it met a move: one Set
// and one move, again and again, at all distances from each other.
func TestMoveGaugeSet(t *testing.T) {
	const rounds = 60_000
	f := GaugeFamily(prometheus.GaugeOpts{Name: "g", Help: "h"}, nil, layout.LiveSum)
	gauges := make([]*Gauge, rounds)
	for i := range gauges {
		gauges[i] = f.NewGauge().(*Gauge)
		gauges[i].Keep()
	}
	// Both are at the same round at about the same time.
	var at [2]atomic.Int64
	meet := func(me, round int) {
		at[me].Store(int64(round))
		for at[1-me].Load() < int64(round) {
			runtime.Gosched()
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i, g := range gauges {
			meet(0, i)
			g.Set(7)
		}
	})
	wg.Go(func() {
		for i, g := range gauges {
			to := words(1)
			meet(1, i)
			g.Use(to)
		}
	})
	wg.Wait()
	for i, g := range gauges {
		if v, set := layout.DecodeGauge(loaded(g)[0]); v != 7 || !set {
			t.Fatalf("round %d: got %v (set: %v), want 7", i, v, set)
		}
	}
}

// A gauge that was never set is still so after it has moved.
func TestMoveGaugeNeverSet(t *testing.T) {
	f := GaugeFamily(prometheus.GaugeOpts{Name: "g", Help: "h"}, nil, layout.LiveSum)
	g := f.NewGauge().(*Gauge)
	g.Keep()
	cells := words(1)
	g.Use(cells)
	if got := cells[0].Load(); got != layout.GaugeNeverSet {
		t.Errorf("cell: got %#x, want %#x", got, layout.GaugeNeverSet)
	}
}

func TestMoveGroups(t *testing.T) {
	h := HistogramFamily(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 2}}, nil)
	s := SummaryFamily(prometheus.SummaryOpts{Name: "s", Help: "h"}, nil)
	g := GaugeFamily(prometheus.GaugeOpts{Name: "g", Help: "h"}, nil, layout.MostRecent)
	for range 100 {
		histogram, summary, recent := h.NewHistogram(), s.NewSummary(), g.NewGauge().(*TimedGauge)
		for _, i := range []Instrument{histogram, summary, recent} {
			i.Keep()
		}
		last := words(h.Def.CellWords())
		n := hammer(func() { histogram.Observe(1); summary.Observe(1); recent.Inc() }, func() {
			for range 5 {
				histogram.Use(words(h.Def.CellWords()))
				summary.Use(words(layout.SummaryWords))
				recent.Use(words(layout.TimedWords))
			}
			histogram.Use(last)
		})
		m := written(t, histogram).Histogram
		if m.GetSampleCount() != uint64(n) || m.GetSampleSum() != float64(n) || m.Bucket[0].GetCumulativeCount() != uint64(n) {
			t.Fatalf("histogram: %v, want %d of all", m, n)
		}
		if got := last[layout.BucketWord].Load(); got != uint64(n) {
			t.Fatalf("bucket in the last cells: got %d, want %d", got, n)
		}
		if m := written(t, summary).Summary; m.GetSampleCount() != uint64(n) || m.GetSampleSum() != float64(n) {
			t.Fatalf("summary: %v, want %d of all", m, n)
		}
		if got := written(t, recent).Gauge.GetValue(); got != float64(n) {
			t.Fatalf("most recent: got %v, want %d", got, n)
		}
	}
}

// A counter at +Inf reads +Inf while it moves, and after: infinite values have no difference.
func TestMoveInfiniteCounter(t *testing.T) {
	f := CounterFamily(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil)
	for _, onHeap := range []bool{true, false} {
		c := f.NewCounter()
		if onHeap {
			c.Keep()
		} else {
			c.Use(words(layout.CounterWords))
		}
		c.Add(math.Inf(+1))
		for range 3 {
			c.Use(words(layout.CounterWords))
			c.Drain()
			if got := written(t, c).Counter.GetValue(); !math.IsInf(got, +1) {
				t.Errorf("on the heap at first: %v: got %v, want +Inf", onHeap, got)
			}
		}
	}
}

// Any NaN may be added to a counter, also the one that marks cells as left.
func TestAddAnyNaN(t *testing.T) {
	c := CounterFamily(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil).NewCounter()
	c.Keep()
	for _, bits := range []uint64{leftFloat, leftFloat | 1<<51, math.Float64bits(math.NaN())} {
		c.Add(math.Float64frombits(bits))
		c.Add(0.5)
		if got := written(t, c).Counter.GetValue(); got == got {
			t.Errorf("after NaN %#x: got %v, want NaN", bits, got)
		}
	}
}

// A counter beyond half of 2^64 counts on, and moves.
func TestMoveCounterBeyondTheMark(t *testing.T) {
	c := CounterFamily(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil).NewCounter()
	c.Keep()
	for range leftMark / maxWhole {
		c.Add(maxWhole)
	}
	c.Inc()
	c.Use(words(layout.CounterWords))
	c.Inc()
	if got, want := loaded(c)[integerPart], uint64(leftMark+2); got != want {
		t.Errorf("got %d, want %d", got, want)
	}
}

// A gauge that moves from file to file again and again within a minute keeps its value, also when
// updates meanwhile take the lock.
func TestMoveGaugeAside(t *testing.T) {
	g := GaugeFamily(prometheus.GaugeOpts{Name: "g", Help: "h"}, nil, layout.LiveSum).NewGauge().(*Gauge)
	g.Use(words(1))
	want := 0.0
	for n := range 5 {
		cells := words(1)
		g.Use(cells)
		g.Set(float64(n))
		g.Add(0.5)
		want = float64(n) + 0.5
		if v, _ := layout.DecodeGauge(cells[0].Load()); v != want {
			t.Errorf("the file has %v, want %v", v, want)
		}
		if n%2 == 0 {
			g.Settle()
			g.Inc()
			want++
			if v, _ := layout.DecodeGauge(cells[0].Load()); v != want {
				t.Errorf("settled: the file has %v, want %v", v, want)
			}
		}
	}
	g.Leave()
	g.Add(1)
	if v, _ := layout.DecodeGauge(loaded(g)[0]); v != want+1 {
		t.Errorf("after Leave: got %v, want %v", v, want+1)
	}
}

// The former file is cut after the series have left the file, so that the former cells begin at zero
// again: nothing is lost, and late updates count.
func TestFormerCellsCut(t *testing.T) {
	c := CounterFamily(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil).NewCounter()
	former := words(layout.CounterWords)
	c.Use(former)
	c.Add(3)
	c.Add(0.5)
	c.Use(words(layout.CounterWords))
	g := GaugeFamily(prometheus.GaugeOpts{Name: "g", Help: "h"}, nil, layout.LiveSum).NewGauge().(*Gauge)
	formerGauge := words(layout.GaugeWords)
	g.Use(formerGauge)
	g.Set(7)
	g.Use(words(layout.GaugeWords))
	for _, cells := range [][]atomic.Uint64{former, formerGauge} {
		for i := range cells {
			cells[i].Store(0)
		}
	}
	check := func(when string, want float64) {
		t.Helper()
		if got := written(t, c).Counter.GetValue(); got != want {
			t.Errorf("%s: the counter is %v, want %v", when, got, want)
		}
		if got := written(t, g).Gauge.GetValue(); got != 7 {
			t.Errorf("%s: the gauge is %v, want 7", when, got)
		}
	}
	check("cut", 3.5)
	c.Drain()
	g.Drain()
	check("drained", 3.5)
	former[integerPart].Add(2) // late
	addContended(&former[floatPart], 0.25)
	check("late", 5.75)
	c.Settle()
	g.Settle()
	check("settled", 5.75)
}
