package instrument

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// loaded is what an instrument loads.
func loaded(i Instrument) []uint64 {
	out := make([]uint64, i.Base().Family.Def.ValueWords())
	for n := range out {
		out[n] = math.MaxUint64 // all is to be written over
	}
	i.Load(out)
	return out
}

// told is a metric made of loaded words, as Write tells it.
func told(f *Family, words []uint64) *dto.Metric {
	sum := func() *float64 { return new(math.Float64frombits(words[1])) }
	switch f.Def.Type {
	case layout.Counter:
		return &dto.Metric{Counter: &dto.Counter{Value: new(float64(words[0]) + *sum())}}
	case layout.Gauge:
		if f.Def.Mode.Timed() {
			return &dto.Metric{Gauge: &dto.Gauge{Value: sum()}}
		}
		v, _ := layout.DecodeGauge(words[0])
		return &dto.Metric{Gauge: &dto.Gauge{Value: &v}}
	case layout.Summary:
		return &dto.Metric{Summary: &dto.Summary{SampleCount: &words[0], SampleSum: sum()}}
	}
	h := &dto.Histogram{SampleCount: &words[0], SampleSum: sum()}
	var cumulative uint64
	for n, bound := range f.Def.Bounds {
		cumulative += words[2+n]
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(cumulative)})
	}
	return &dto.Metric{Histogram: h}
}

// What is loaded is what Write says, of all kinds, wherever the cells are.
func TestLoadIsWhatWriteSays(t *testing.T) {
	gaugeOf := func(mode layout.Mode) Instrument {
		return GaugeFamily(prometheus.GaugeOpts{Name: "g", Help: "h"}, nil, mode).NewGauge()
	}
	counter := CounterFamily(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil).NewCounter()
	histogram := HistogramFamily(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 2, 4}}, nil).NewHistogram()
	summary := SummaryFamily(prometheus.SummaryOpts{Name: "s", Help: "h"}, nil).NewSummary()
	gauge, timed := gaugeOf(layout.Sum), gaugeOf(layout.MostRecent)

	for _, tt := range []struct {
		name   string
		i      Instrument
		update func()
		zero   []uint64 // before the first update
		want   []uint64 // behind it; nil: there is a time in it
	}{
		{
			name:   "counter",
			i:      counter,
			update: func() { counter.Inc(); counter.Add(3); counter.Add(0.25) },
			zero:   []uint64{0, 0},
			want:   []uint64{4, math.Float64bits(0.25)},
		},
		{
			name:   "gauge",
			i:      gauge,
			update: func() { gauge.(prometheus.Gauge).Set(-1.5) },
			zero:   []uint64{layout.GaugeNeverSet},
			want:   []uint64{layout.EncodeGauge(-1.5)},
		},
		{name: "timed gauge", i: timed, update: func() { timed.(prometheus.Gauge).Set(7) }, zero: []uint64{0, 0, 0}, want: nil},
		{name: "histogram", i: histogram, update: func() {
			for _, v := range []float64{0.5, 1.5, 1.75, 8} {
				histogram.Observe(v)
			}
		}, zero: []uint64{0, 0, 0, 0, 0, 0}, want: []uint64{4, math.Float64bits(11.75), 1, 2, 0, 1}},
		{
			name:   "summary",
			i:      summary,
			update: func() { summary.Observe(2.5); summary.Observe(3) },
			zero:   []uint64{0, 0},
			want:   []uint64{2, math.Float64bits(5.5)},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.i.Base().Family
			same := func(when string) {
				t.Helper()
				said := written(t, tt.i)
				want := &dto.Metric{Counter: said.Counter, Gauge: said.Gauge, Histogram: said.Histogram, Summary: said.Summary}
				if want.Counter != nil {
					want.Counter.CreatedTimestamp = nil
				}
				if want.Histogram != nil {
					want.Histogram.CreatedTimestamp = nil
				}
				if want.Summary != nil {
					want.Summary.CreatedTimestamp = nil
				}
				if got := told(f, loaded(tt.i)); !proto.Equal(got, want) {
					t.Errorf("%s: loaded %v, Write says %v", when, got, want)
				}
			}
			is := func(when string, want []uint64) {
				t.Helper()
				if diff := cmp.Diff(want, loaded(tt.i)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", when, diff)
				}
			}
			is("not bound yet", tt.zero)
			same("not bound yet")
			tt.i.Keep()
			is("never updated", tt.zero)
			before := time.Now().UnixNano()
			tt.update()
			if tt.want == nil {
				now := loaded(tt.i)
				if now[0] != 1 || math.Float64frombits(now[1]) != 7 || int64(now[2]) < before || int64(now[2]) > time.Now().UnixNano() {
					t.Errorf("commits, value and time are %v", now)
				}
				tt.want = now
			}
			is("on the heap", tt.want)
			same("on the heap")
			tt.i.Use(words(f.Def.CellWords()))
			is("in a file", tt.want)
			same("in a file")
			tt.i.Use(words(f.Def.CellWords()))
			is("in another one", tt.want)
			tt.update()
			same("updated there")
		})
	}
}

// Increments that reach cells of a file which were left count once, before they are moved on
// and afterwards.
func TestLoadCountsLateIncrements(t *testing.T) {
	c := CounterFamily(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil).NewCounter()
	c.Use(words(layout.CounterWords))
	late := c.cells.Load()
	c.Add(2)
	c.Use(words(layout.CounterWords))
	late[integerPart].Add(3)
	addContended(&late[floatPart], 0.5)
	want := []uint64{5, math.Float64bits(0.5)}
	for _, when := range []struct {
		name string
		do   func()
	}{
		{"before", func() {}}, {"drained", c.Drain}, {"drained again", c.Drain}, {"settled", c.Settle},
	} {
		when.do()
		if diff := cmp.Diff(want, loaded(c)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when.name, diff)
		}
		if got := written(t, c).Counter.GetValue(); got != 5.5 {
			t.Errorf("%s: Write says %v, want 5.5", when.name, got)
		}
	}
}

// whileLoading calls move so many times while somebody checks what is loaded, without
// a pause.
func whileLoading(t *testing.T, times int, check func() bool, move func()) {
	t.Helper()
	var reader sync.WaitGroup
	var stop atomic.Bool
	begun := make(chan struct{})
	reader.Go(func() {
		ok := check()
		close(begun)
		for ok && !stop.Load() {
			ok = check()
		}
	})
	<-begun
	for range times {
		move()
	}
	stop.Store(true)
	reader.Wait()
}

const moves = 20_000

// Whoever loads while a series moves sees one instant: all that was counted, once,
// and no pattern that is no value.
func TestLoadWhileMoving(t *testing.T) {
	c := CounterFamily(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil).NewCounter()
	c.Keep()
	c.Add(5)
	c.Add(0.5)
	whileLoading(t, moves, func() bool {
		now := loaded(c)
		if now[0] != 5 || now[1] != math.Float64bits(0.5) {
			t.Errorf("the counter is %v, want 5 and 0.5", now)
		}
		return !t.Failed()
	}, func() {
		c.Use(words(layout.CounterWords))
		if rand.N(2) == 0 {
			c.Settle()
		}
	})

	g := GaugeFamily(prometheus.GaugeOpts{Name: "g", Help: "h"}, nil, layout.LiveSum).NewGauge()
	g.Keep()
	g.Set(7)
	whileLoading(t, moves, func() bool {
		if v, set := layout.DecodeGauge(loaded(g)[0]); !set || v != 7 {
			t.Errorf("the gauge is %v, set: %v, want 7", v, set)
		}
		return !t.Failed()
	}, func() { g.Use(words(layout.GaugeWords)) })
}

// While a late increment is moved on nobody misses it, or sees it twice.
func TestLoadWhileDraining(t *testing.T) {
	c := CounterFamily(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil).NewCounter()
	c.Use(words(layout.CounterWords))
	late := c.cells.Load()
	c.Use(words(layout.CounterWords))
	var last uint64
	var done atomic.Uint64 // increments that may be there
	whileLoading(t, moves, func() bool {
		now := loaded(c)[0]
		if atMost := done.Load(); now < last || now > atMost {
			t.Errorf("the counter went from %d to %d, at most %d were counted", last, now, atMost)
		}
		last = now
		return !t.Failed()
	}, func() {
		done.Add(1)
		late[integerPart].Add(1)
		c.Drain()
	})
	if got := loaded(c)[0]; got != moves {
		t.Errorf("loaded %d at last, want %d", got, moves)
	}
}
