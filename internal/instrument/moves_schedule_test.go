//go:build schedule

package instrument

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/schedule"
	"github.com/mpmetrics/mpmetrics/internal/testing/schedule/atomic"
)

// This test is built by TestMovesInEverySchedule alone, with other imports.

// subject is an instrument that moves, with its value as a state for schedule.History.
type subject struct {
	Instrument
	update func(kind string) // runs one update
	apply  func(kind string, state []float64) []float64
	load   func() []float64
	first  []string   // updates, of which the first updater makes one
	second [][]string // likewise, and the second updater makes all of one entry
	apart  bool       // the numbers of load are of two instants
}

func words(n int) []atomic.Uint64 { return make([]atomic.Uint64, n) }

func counterSubject(start float64) func() *subject {
	return func() *subject {
		c := CounterFamily(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil).NewCounter()
		c.Keep()
		c.Add(start)
		steps := map[string][layout.CounterWords]float64{"Inc": {1, 0}, "Add(2)": {2, 0}, "Add(0.5)": {0, 0.5}}
		return &subject{
			Instrument: c,
			update: func(kind string) {
				if kind == "Inc" {
					c.Inc()
					return
				}
				c.Add(steps[kind][integerPart] + steps[kind][floatPart])
			},
			apply: func(kind string, state []float64) []float64 {
				return []float64{state[integerPart] + steps[kind][integerPart], state[floatPart] + steps[kind][floatPart]}
			},
			load: func() []float64 {
				var w [layout.CounterWords]uint64
				c.Load(w[:])
				return []float64{float64(w[integerPart]), math.Float64frombits(w[floatPart])}
			},
			apart:  true,
			first:  []string{"Inc", "Add(0.5)"},
			second: [][]string{{"Inc", "Inc"}, {"Add(0.5)", "Inc"}, {"Add(2)", "Add(0.5)"}},
		}
	}
}

func gaugeSubject() *subject {
	g := GaugeFamily(prometheus.GaugeOpts{Name: "g", Help: "h"}, nil, layout.Sum).NewGauge().(*Gauge)
	g.Keep()
	return &subject{
		Instrument: g,
		update:     func(kind string) { updateGauge(g, kind) },
		apply:      applyGauge,
		load: func() []float64 {
			var w [layout.GaugeWords]uint64
			g.Load(w[:])
			v, _ := layout.DecodeGauge(w[0])
			return []float64{v}
		},
		first:  []string{"Set(10)", "Add(1)"},
		second: [][]string{{"Set(20)", "Set(30)"}, {"Set(20)", "Add(1)"}, {"Add(1)", "Set(20)"}, {"Add(1)", "Add(1)"}},
	}
}

func recentSubject() *subject {
	g := GaugeFamily(prometheus.GaugeOpts{Name: "g", Help: "h"}, nil, layout.MostRecent).NewGauge().(*TimedGauge)
	g.Keep()
	return &subject{
		Instrument: g,
		update:     func(kind string) { updateGauge(g, kind) },
		apply:      applyGauge,
		load: func() []float64 {
			var w [3]uint64
			g.Load(w[:])
			return []float64{math.Float64frombits(w[1])}
		},
		first:  []string{"Set(10)", "Add(1)"},
		second: [][]string{{"Set(20)", "Set(30)"}, {"Set(20)", "Add(1)"}, {"Add(1)", "Set(20)"}, {"Add(1)", "Add(1)"}},
	}
}

// updateGauge runs an update. Each Set has a value of its own, so that one value tells which Set is
// meant.
func updateGauge(g prometheus.Gauge, kind string) {
	if kind == "Add(1)" {
		g.Add(1)
		return
	}
	g.Set(setTo(kind))
}

func setTo(kind string) float64 {
	var v float64
	fmt.Sscanf(kind, "Set(%g)", &v)
	return v
}

func applyGauge(kind string, state []float64) []float64 {
	if kind == "Add(1)" {
		return []float64{state[0] + 1}
	}
	return []float64{setTo(kind)}
}

func histogramSubject() *subject {
	h := HistogramFamily(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 2}}, nil).NewHistogram()
	h.Keep()
	return &subject{
		Instrument: h,
		update: func(kind string) {
			if kind == "Observe(1)" {
				h.Observe(1)
				return
			}
			h.Observe(2)
		},
		apply: func(kind string, s []float64) []float64 {
			s = slices.Clone(s)
			s[0]++
			if kind == "Observe(1)" {
				s[1]++
				s[2]++
				return s
			}
			s[1] += 2
			s[3]++
			return s
		},
		load: func() []float64 {
			var w [5]uint64
			h.Load(w[:])
			return []float64{float64(w[0]), math.Float64frombits(w[1]), float64(w[2]), float64(w[3])}
		},
		first:  []string{"Observe(1)", "Observe(2)"},
		second: [][]string{{"Observe(1)", "Observe(2)"}, {"Observe(2)", "Observe(2)"}},
	}
}

// The moves.
const (
	heapToFile = "heap_to_file"
	fileToFile = "file_to_file"
)

// TestMoves runs two updaters, a mover and a loader.
func TestMoves(t *testing.T) {
	preemptions, err := strconv.Atoi(os.Getenv("PREEMPTIONS"))
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for name, begin := range map[string]func() *subject{
		"counter": counterSubject(3), "infinite_counter": counterSubject(math.Inf(+1)),
		"gauge": gaugeSubject, "group": histogramSubject, "most_recent": recentSubject,
	} {
		for _, way := range []string{heapToFile, fileToFile} {
			t.Run(name+"_"+way, func(t *testing.T) {
				n, err := explore(begin, way, preemptions)
				total += n
				if err != nil {
					t.Error(err)
				}
				t.Logf("%s: %d schedules", name+" "+way, n)
			})
		}
	}
	// A Set that carries an older value needs one preemption more.
	t.Run("sets_"+fileToFile, func(t *testing.T) {
		w := &world{begin: gaugeSubject, way: fileToFile, updates: [][]string{{"Set(10)"}, {"Set(20)", "Set(30)"}}}
		n, err := schedule.Explore(preemptions+1, w.threads, w.check)
		total += n
		if err != nil {
			t.Error(err)
		}
		t.Logf("sets without a loader: %d schedules", n)
	})
	t.Logf("all: %d schedules", total)
}

// explore explores a move beside all updates: one of the first updater, two of the second.
func explore(begin func() *subject, way string, preemptions int) (total int, err error) {
	s := begin()
	for _, one := range s.first {
		for _, two := range s.second {
			w := &world{begin: begin, way: way, updates: [][]string{{one}, two}, loads: 2}
			n, err := schedule.Explore(preemptions, w.threads, w.check)
			total += n
			if err != nil {
				return total, fmt.Errorf("%s beside %v: %w", one, two, err)
			}
		}
	}
	return total, nil
}

// world is one schedule.
type world struct {
	begin   func() *subject
	way     string
	updates [][]string
	loads   int // of the loader

	*subject
	schedule.History
	start    []float64
	cells    []atomic.Uint64
	moved    bool
	returned uint64 // calls of Inc
	lost     error
}

func (w *world) threads() []func() {
	w.subject, w.History, w.moved, w.returned, w.lost = w.begin(), schedule.History{}, false, 0, nil
	n := w.Base().Family.Def.CellWords()
	if w.way == fileToFile {
		w.Use(words(n))
	}
	w.start, w.cells = w.load(), words(n)
	threads := []func(){func() {
		w.Use(w.cells)
		w.moved = true
	}}
	if w.loads > 0 {
		threads = append(threads, func() {
			for range w.loads {
				w.doLoad()
			}
		})
	}
	for _, kinds := range w.updates {
		threads = append(threads, func() {
			for _, kind := range kinds {
				w.Do(kind, func() func([]float64) ([]float64, bool) {
					w.update(kind)
					return func(state []float64) ([]float64, bool) { return w.apply(kind, state), true }
				})
				w.killed(kind)
			}
		})
	}
	return threads
}

// doLoad loads. The words of a counter are loaded one after the other: both only grow, so the sum
// lies between the sums before and after.
func (w *world) doLoad() {
	var got []float64
	if w.apart {
		w.Do("Load", func() func([]float64) ([]float64, bool) {
			w.Do("Load of the integer part", func() func([]float64) ([]float64, bool) {
				got = w.load()
				return func(state []float64) ([]float64, bool) { return state, state[integerPart] == got[integerPart] }
			})
			return func(state []float64) ([]float64, bool) { return state, state[floatPart] == got[floatPart] }
		})
		return
	}
	w.Do("Load", func() func([]float64) ([]float64, bool) {
		got = w.load()
		return func(state []float64) ([]float64, bool) { return state, slices.Equal(state, got) }
	})
}

// killed looks at what SIGKILL would leave now: the cells of the file. Before the end of the move no
// reader sees the series.
func (w *world) killed(kind string) {
	if kind == "Inc" {
		w.returned++
	}
	if _, isCounter := w.Instrument.(*Counter); !isCounter || !w.moved || w.way == fileToFile {
		return
	}
	if got := w.cells[integerPart].Load(); got < w.returned {
		w.lost = fmt.Errorf("the file has %d, and %d calls of Inc have returned", got, w.returned)
	}
}

func (w *world) check() error {
	w.doLoad()
	if d, ok := w.Instrument.(Drainer); ok {
		d.Settle()
		w.doLoad()
	}
	return errors.Join(w.lost, w.Check(w.start))
}
