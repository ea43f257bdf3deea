package collector_test

// Cases where client_python fails: conflicting definitions, and gauges of several
// processes. The newest process decides, in whatever order the
// files are read.

import (
	"math"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// bothOrders runs a case with the older process first in name and the other
// way round: it must not matter.
func bothOrders(t *testing.T, run func(t *testing.T, dir, older, newer string)) {
	t.Helper()
	t.Run("older=123", func(t *testing.T) { run(t, t.TempDir(), "123", "456") })
	t.Run("older=456", func(t *testing.T) { run(t, t.TempDir(), "456", "123") })
}

// A process that never set a gauge takes no part in its minimum.
func TestGaugeNeverSetHasNoPartInMin(t *testing.T) {
	for _, c := range []struct {
		mode store.MergeMode
		want float64
	}{
		{store.Min, 5}, {store.LiveMin, 5}, {store.Max, -5}, {store.LiveMax, -5}, {store.LiveMean, 5},
	} {
		t.Run(c.mode.String(), func(t *testing.T) {
			bothOrders(t, func(t *testing.T, dir, older, newer string) {
				o := prometheus.GaugeOpts{Name: "g", Help: "h"}
				open(t, dir, older).NewGauge(o, c.mode)
				g := open(t, dir, newer).NewGauge(o, c.mode)
				equal(t, "set by nobody", fresh(t, dir), samples{"g": 0})
				g.Set(c.want)
				equal(t, "set by one of two", fresh(t, dir), samples{"g": c.want})
			})
		})
	}
}

// A gauge that was set to 0 differs from one that was never set.
func TestGaugeSetToZeroHasPartInMin(t *testing.T) {
	dir := t.TempDir()
	o := prometheus.GaugeOpts{Name: "g", Help: "h"}
	open(t, dir, "123").NewGauge(o, store.Min).Set(0)
	open(t, dir, "456").NewGauge(o, store.Min).Set(5)
	equal(t, "merged", fresh(t, dir), samples{"g": 0})
}

// If nobody set it, a gauge reads 0 in every mode.
func TestGaugeNeverSetReadsZero(t *testing.T) {
	for mode := store.All; mode <= store.LiveMean; mode++ {
		dir := t.TempDir()
		want := samples{"g": 0}
		if mode == store.All || mode == store.LiveAll {
			want = perProcess(0, 0)
		}
		open(t, dir, "123").NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, mode)
		open(t, dir, "456").NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, mode)
		equal(t, mode.String(), fresh(t, dir), want)
	}
}

// What was set later wins, whichever file is read first. Equal times are
// in the tests of the merge, which can choose them.
func TestMostRecentIsTheLatestSet(t *testing.T) {
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		o := prometheus.GaugeOpts{Name: "g", Help: "h"}
		a, b := open(t, dir, older).NewGauge(o, store.MostRecent), open(t, dir, newer).NewGauge(o, store.MostRecent)
		r := registryOf(t, dir)
		for _, step := range []struct {
			gauge prometheus.Gauge
			value float64
		}{{a, 9}, {b, 1}, {a, 3}, {b, 8}, {b, 2}, {a, 5}} {
			step.gauge.Set(step.value)
			equal(t, "after a later set", scrape(t, r), samples{"g": step.value})
		}
		b.Dec() // 2 - 1, and the most recent now
		equal(t, "after Dec", scrape(t, r), samples{"g": 1})
	})
}

// NaN takes part only if nothing else does.
func TestGaugeNaNWithNumbers(t *testing.T) {
	for _, mode := range []store.MergeMode{
		store.Min, store.LiveMin, store.Max, store.LiveMax, store.Sum, store.LiveSum, store.LiveMean, store.MostRecent, store.LiveMostRecent,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			bothOrders(t, func(t *testing.T, dir, first, second string) {
				o := prometheus.GaugeOpts{Name: "g", Help: "h"}
				number, nan := open(t, dir, first).NewGauge(o, mode), open(t, dir, second).NewGauge(o, mode)
				nan.Set(math.NaN())
				equal(t, "only NaN", fresh(t, dir), samples{"g": math.NaN()})
				number.Set(3)
				equal(t, "NaN set before", fresh(t, dir), samples{"g": 3})
				nan.Set(math.NaN())
				equal(t, "NaN set after", fresh(t, dir), samples{"g": 3})
			})
		})
	}
}

// A process inherits nothing from a dead one that had its label. The
// counter stays in the total; the gauges of the dead go by their mode.
func TestProcessLabelUsedAgain(t *testing.T) {
	dir := t.TempDir()
	c := prometheus.CounterOpts{Name: "c_total", Help: "h"}
	r := registryOf(t, dir)
	dead := open(t, dir, "7")
	dead.NewCounter(c).Add(5)
	for name, mode := range map[string]store.MergeMode{"sum": store.Sum, "livesum": store.LiveSum, "all": store.All, "liveall": store.LiveAll} {
		dead.NewGauge(prometheus.GaugeOpts{Name: name, Help: "h"}, mode).Set(9)
	}
	equal(t, "the first", scrape(t, r), samples{"c_total": 5, "sum": 9, "livesum": 9, `all{process="7"}`: 9, `liveall{process="7"}`: 9})
	dead.die()
	equal(t, "between", scrape(t, r), samples{"c_total": 5, "sum": 9, `all{process="7"}`: 9})

	again := open(t, dir, "7")
	again.NewCounter(c).Inc()
	for name, mode := range map[string]store.MergeMode{"sum": store.Sum, "livesum": store.LiveSum, "all": store.All, "liveall": store.LiveAll} {
		again.NewGauge(prometheus.GaugeOpts{Name: name, Help: "h"}, mode)
	}
	// The living one has the label; the dead one, whose sample All keeps,
	// gets a suffix.
	want := samples{
		"c_total": 6, "sum": 9, "livesum": 0,
		`all{process="7"}`: 0, `all{process="7-2"}`: 9, `liveall{process="7"}`: 0,
	}
	equal(t, "the second", scrape(t, r), want)
	equal(t, "for a new collector", fresh(t, dir), want)
}

// conflict checks what is exposed and which conflicts are counted, by a
// collector that sees both at once and by one that saw them come.
func conflict(t *testing.T, dir string, first func(), second func(), want, conflicts samples) {
	t.Helper()
	first()
	growing := registryOf(t, dir)
	scrape(t, growing)
	second()
	for what, r := range map[string]prometheus.Gatherer{"saw them come": growing, "sees both at once": registryOf(t, dir)} {
		for range 2 { // conflicts are counted once
			equal(t, what, scrape(t, r), join(want, samples{"other_total": 2}))
		}
		equal(t, what+": conflicts", only(scrapeSelf(t, r), "mpmetrics_conflicts_total"), conflicts)
		present := samples{}
		for name, n := range conflicts {
			present[strings.Replace(name, "_total", "", 1)] = n
		}
		equal(t, what+": conflicts now", only(scrapeSelf(t, r), "mpmetrics_conflicts"), present)
	}
}

// A conflict that was there before the first scrape is told for as long as it stays, and not
// afterwards: an increase of the counter would tell of neither.
func TestConflictIsToldWhileItStays(t *testing.T) {
	dir := t.TempDir()
	older, newer := open(t, dir, "1"), open(t, dir, "2")
	older.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1}})
	newer.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{2}})
	newer.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, store.LiveSum)
	older.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, store.LiveMax)
	r := registryOf(t, dir)
	for range 3 {
		equal(t, "both", only(scrapeSelf(t, r), "mpmetrics_conflicts"), samples{`mpmetrics_conflicts{reason="buckets"}`: 1, `mpmetrics_conflicts{reason="mode"}`: 1})
	}
	newer.die()
	equal(t, "the mode of a dead process has no say", only(scrapeSelf(t, r), "mpmetrics_conflicts"), samples{`mpmetrics_conflicts{reason="buckets"}`: 1})
	older.die()
	third := open(t, dir, "3")
	third.NewHistogram(prometheus.HistogramOpts{Name: "other", Help: "h"})
	equal(t, "in the total of the dead", only(scrapeSelf(t, r), "mpmetrics_conflicts"), samples{`mpmetrics_conflicts{reason="buckets"}`: 1})
}

// other is a family that nobody disagrees about: it has to stay exact.
func other(w *writer) *writer {
	w.NewCounter(prometheus.CounterOpts{Name: "other_total", Help: "h"}).Inc()
	return w
}

func TestTypeConflict(t *testing.T) {
	counter := func(t *testing.T, dir, name string) func() {
		return func() { other(open(t, dir, name)).NewCounter(prometheus.CounterOpts{Name: "x", Help: "h"}).Add(4) }
	}
	gauge := func(t *testing.T, dir, name string) func() {
		return func() { other(open(t, dir, name)).NewGauge(prometheus.GaugeOpts{Name: "x", Help: "h"}).Set(3) }
	}
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		conflict(t, dir, counter(t, dir, older), gauge(t, dir, newer), samples{"x": 3}, samples{`mpmetrics_conflicts_total{reason="type"}`: 1})
	})
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		conflict(t, dir, gauge(t, dir, older), counter(t, dir, newer), samples{"x": 4}, samples{`mpmetrics_conflicts_total{reason="type"}`: 1})
	})
}

func TestModeConflict(t *testing.T) {
	set := func(t *testing.T, dir, name string, mode store.MergeMode, v float64) func() {
		return func() { other(open(t, dir, name)).NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, mode).Set(v) }
	}
	counted := samples{`mpmetrics_conflicts_total{reason="mode"}`: 1}
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		conflict(t, dir, set(t, dir, older, store.Sum, 6), set(t, dir, newer, store.Max, 4), samples{"g": 6}, counted)
	})
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		conflict(t, dir, set(t, dir, older, store.Max, 6), set(t, dir, newer, store.Sum, 4), samples{"g": 10}, counted)
	})
	// The older one has no time of its own: it cannot take part.
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		conflict(t, dir, set(t, dir, older, store.Sum, 6), set(t, dir, newer, store.MostRecent, 4), samples{"g": 4}, counted)
	})
}

// A label of the user's own that the newer mode needs for itself would stand
// twice in a sample: the older definition is left out.
func TestModeConflictOverLabelProcess(t *testing.T) {
	o := prometheus.GaugeOpts{Name: "g", Help: "h"}
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		conflict(t, dir,
			func() {
				other(open(t, dir, older)).NewGaugeVec(o, []string{"process"}, store.Sum).WithLabelValues("mine").Set(1)
			},
			func() { other(open(t, dir, newer)).NewGauge(o, store.All).Set(2) },
			samples{`g{process="` + newer + `"}`: 2},
			samples{`mpmetrics_conflicts_total{reason="mode"}`: 1, `mpmetrics_conflicts_total{reason="labels"}`: 1})
	})
}

func TestHelpConflict(t *testing.T) {
	count := func(t *testing.T, dir, name, help string, n float64) func() {
		return func() {
			other(open(t, dir, name)).NewCounter(prometheus.CounterOpts{Name: "c_total", Help: help}).Add(n)
		}
	}
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		conflict(t, dir, count(t, dir, older, "old", 3), count(t, dir, newer, "new", 4), samples{"c_total": 7},
			samples{`mpmetrics_conflicts_total{reason="help"}`: 1})
		r := registryOf(t, dir)
		if got, want := find(t, promtest.Gather(t, r), "c_total").GetHelp(), "new"; got != want {
			t.Errorf("help: got %q, want that of the newest process, %q", got, want)
		}
	})
}

// The bounds that both have are kept: 2. Its counts are exact.
func TestBucketConflict(t *testing.T) {
	observe := func(t *testing.T, dir, name string, bounds []float64, values ...float64) func() {
		return func() {
			h := other(open(t, dir, name)).NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: bounds})
			for _, v := range values {
				h.Observe(v)
			}
		}
	}
	want := samples{`h_bucket{le="2"}`: 4, `h_bucket{le="+Inf"}`: 5, "h_count": 5, "h_sum": 13.9}
	counted := samples{`mpmetrics_conflicts_total{reason="buckets"}`: 1}
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		conflict(t, dir, observe(t, dir, older, []float64{1, 2}, 0.5, 1.5, 9), observe(t, dir, newer, []float64{1.5, 2}, 1.2, 1.7), want, counted)
	})
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		conflict(t, dir, observe(t, dir, older, []float64{1.5, 2}, 1.2, 1.7), observe(t, dir, newer, []float64{1, 2}, 0.5, 1.5, 9), want, counted)
	})
}

func TestLabelConflict(t *testing.T) {
	count := func(t *testing.T, dir, name, label string) func() {
		return func() {
			other(open(t, dir, name)).NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{label}).WithLabelValues("x").Inc()
		}
	}
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		conflict(t, dir, count(t, dir, older, "a"), count(t, dir, newer, "b"), samples{`c_total{a="x"}`: 1, `c_total{b="x"}`: 1},
			samples{`mpmetrics_conflicts_total{reason="labels"}`: 1})
	})
}

// A histogram "req" and a counter "req_count" would be two families with one
// sample name: the registry would refuse the scrape.
func TestSuffixConflict(t *testing.T) {
	histogram := func(t *testing.T, dir, name string) func() {
		return func() {
			other(open(t, dir, name)).NewHistogram(prometheus.HistogramOpts{Name: "req", Help: "h", Buckets: buckets}).Observe(1)
		}
	}
	counter := func(t *testing.T, dir, name string) func() {
		return func() {
			other(open(t, dir, name)).NewCounter(prometheus.CounterOpts{Name: "req_count", Help: "h"}).Inc()
		}
	}
	counted := samples{`mpmetrics_conflicts_total{reason="suffix"}`: 1}
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		conflict(t, dir, histogram(t, dir, older), counter(t, dir, newer), samples{"req_count": 1}, counted)
	})
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		conflict(t, dir, counter(t, dir, older), histogram(t, dir, newer), histogramSamples("req", "", 1), counted)
	})
}
