package merge

import (
	"math"
	"slices"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// unset stands for a gauge that its process never set.
const unset = -12345

// gaugeRows say what the gauges of three processes become. The one that is
// dead is the last. Timed gauges are set in the order of the row, so that the
// last one that is a number is the most recent.
var gaugeRows = []struct {
	name   string
	values [3]float64
	want   map[layout.Mode]float64 // LiveAll and All: see TestGaugeAll
}{
	{name: "numbers", values: [3]float64{5, -2, 3}, want: map[layout.Mode]float64{
		layout.Sum: 6, layout.LiveSum: 3, layout.Min: -2, layout.LiveMin: -2, layout.Max: 5, layout.LiveMax: 5,
		layout.MostRecent: 3, layout.LiveMostRecent: -2, layout.LiveMean: 1.5,
	}},
	{name: "the dead one is extreme", values: [3]float64{1, 2, -9}, want: map[layout.Mode]float64{
		layout.Sum: -6, layout.LiveSum: 3, layout.Min: -9, layout.LiveMin: 1, layout.Max: 2, layout.LiveMax: 2,
		layout.MostRecent: -9, layout.LiveMostRecent: 2, layout.LiveMean: 1.5,
	}},
	{name: "never set takes no part", values: [3]float64{unset, 7, unset}, want: map[layout.Mode]float64{
		layout.Sum: 7, layout.LiveSum: 7, layout.Min: 7, layout.LiveMin: 7, layout.Max: 7, layout.LiveMax: 7,
		layout.MostRecent: 7, layout.LiveMostRecent: 7, layout.LiveMean: 7,
	}},
	{name: "set to zero takes part", values: [3]float64{0, 7, unset}, want: map[layout.Mode]float64{
		layout.Sum: 7, layout.LiveSum: 7, layout.Min: 0, layout.LiveMin: 0, layout.Max: 7, layout.LiveMax: 7,
		layout.MostRecent: 7, layout.LiveMostRecent: 7, layout.LiveMean: 3.5,
	}},
	{name: "set by the dead alone", values: [3]float64{unset, unset, 7}, want: map[layout.Mode]float64{
		layout.Sum: 7, layout.LiveSum: 0, layout.Min: 7, layout.LiveMin: 0, layout.Max: 7, layout.LiveMax: 0,
		layout.MostRecent: 7, layout.LiveMostRecent: 0, layout.LiveMean: 0,
	}},
	{name: "set by nobody", values: [3]float64{unset, unset, unset}, want: map[layout.Mode]float64{
		layout.Sum: 0, layout.LiveSum: 0, layout.Min: 0, layout.LiveMin: 0, layout.Max: 0, layout.LiveMax: 0,
		layout.MostRecent: 0, layout.LiveMostRecent: 0, layout.LiveMean: 0,
	}},
	{name: "NaN and numbers", values: [3]float64{4, math.NaN(), math.NaN()}, want: map[layout.Mode]float64{
		layout.Sum: 4, layout.LiveSum: 4, layout.Min: 4, layout.LiveMin: 4, layout.Max: 4, layout.LiveMax: 4,
		layout.MostRecent: 4, layout.LiveMostRecent: 4, layout.LiveMean: 4,
	}},
	{name: "NaN alone", values: [3]float64{math.NaN(), unset, unset}, want: map[layout.Mode]float64{
		layout.Sum: math.NaN(), layout.LiveSum: math.NaN(), layout.Min: math.NaN(), layout.LiveMin: math.NaN(),
		layout.Max: math.NaN(), layout.LiveMax: math.NaN(), layout.MostRecent: math.NaN(), layout.LiveMostRecent: math.NaN(),
		layout.LiveMean: math.NaN(),
	}},
	{name: "infinities", values: [3]float64{math.Inf(+1), math.Inf(-1), 1}, want: map[layout.Mode]float64{
		layout.Sum: math.NaN(), layout.LiveSum: math.NaN(), layout.Min: math.Inf(-1), layout.LiveMin: math.Inf(-1),
		layout.Max: math.Inf(+1), layout.LiveMax: math.Inf(+1), layout.MostRecent: 1, layout.LiveMostRecent: math.Inf(-1),
		layout.LiveMean: math.NaN(),
	}},
	{name: "one infinity", values: [3]float64{1, math.Inf(+1), 1}, want: map[layout.Mode]float64{
		layout.Sum: math.Inf(+1), layout.LiveSum: math.Inf(+1), layout.Min: 1, layout.LiveMin: 1,
		layout.Max: math.Inf(+1), layout.LiveMax: math.Inf(+1), layout.MostRecent: 1, layout.LiveMostRecent: math.Inf(+1),
		layout.LiveMean: math.Inf(+1),
	}},
}

// orders are all orders in which three files can be read.
var orders = [][3]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}}

func cellsOf(mode layout.Mode, v float64, at int64) []uint64 {
	if v == unset {
		return neverSet(mode)
	}
	return gaugeCells(mode, v, at)
}

func TestGaugeModes(t *testing.T) {
	for _, row := range gaugeRows {
		t.Run(row.name, func(t *testing.T) {
			if len(row.want) != 9 {
				t.Fatalf("%d modes in this row, want 9", len(row.want))
			}
			for mode, want := range row.want {
				for _, order := range orders {
					w := newWorld(t)
					for _, i := range order {
						p := start(int64(i+1), "p")
						p.Live = i != 2
						w.define(w.join(p), gaugeFamily("g", mode), nil, cellsOf(mode, row.values[i], int64(100+i))...)
					}
					w.check(mode.String(), values{"g": want})
				}
			}
		})
	}
}

func TestGaugeAll(t *testing.T) {
	nan := math.NaN()
	for _, order := range orders {
		set := [3]float64{unset, nan, 3}
		for mode, want := range map[layout.Mode]values{
			layout.All:     {"g{process=a}": 0, "g{process=b}": nan, "g{process=c}": 3},
			layout.LiveAll: {"g{process=a}": 0, "g{process=b}": nan},
		} {
			w := newWorld(t)
			for _, i := range order {
				p := start(int64(i+1), string(rune('a'+i)))
				p.Live = i != 2
				w.define(w.join(p), gaugeFamily("g", mode), nil, cellsOf(mode, set[i], 0)...)
			}
			w.check(mode.String(), want)
		}
	}
}

// Of those set in the same nanosecond the higher value wins, in every
// order.
func TestGaugeMostRecentTies(t *testing.T) {
	for _, c := range []struct {
		values [3]float64
		times  [3]int64
		want   float64
	}{
		{values: [3]float64{1, 3, 2}, times: [3]int64{7, 7, 7}, want: 3},
		{values: [3]float64{-1, -3, -2}, times: [3]int64{7, 7, 7}, want: -1},
		{values: [3]float64{9, 3, 2}, times: [3]int64{6, 7, 7}, want: 3},
		{values: [3]float64{0, -1, -2}, times: [3]int64{-5, -5, -6}, want: 0}, // a clock before 1970
		{values: [3]float64{math.NaN(), 3, 2}, times: [3]int64{9, 7, 7}, want: 3},
	} {
		for _, order := range orders {
			w := newWorld(t)
			for _, i := range order {
				w.define(w.join(start(int64(i+1), "p")), gaugeFamily("g", layout.MostRecent), nil, gaugeCells(layout.MostRecent, c.values[i], c.times[i])...)
			}
			w.check("ties", values{"g": c.want})
		}
	}
}

// Two processes with one label get two samples: the living first, then by
// start. A suffix never meets another process's own label.
func TestProcessLabelSuffixes(t *testing.T) {
	w := newWorld(t)
	add := func(at int64, label string, v float64, live bool) *peer {
		p := start(at, label)
		p.Live = live
		return w.define(w.join(p), gaugeFamily("g", layout.All), nil, gaugeCells(layout.All, v, 0)...)
	}
	young := add(30, "1", 30, true)
	old := add(20, "1", 20, true)
	add(10, "1", 10, false)
	w.check("three of one label", values{"g{process=1}": 20, "g{process=1-2}": 30, "g{process=1-3}": 10})
	other := add(40, "1-2", 40, true)
	w.check("a label like a suffix", values{"g{process=1}": 20, "g{process=1-3}": 30, "g{process=1-4}": 10, "g{process=1-2}": 40})
	w.leave(other)
	w.check("that one gone", values{"g{process=1}": 20, "g{process=1-2}": 30, "g{process=1-3}": 10})
	w.m.SetLive(old.member, false)
	w.check("the first dead", values{"g{process=1}": 30, "g{process=1-2}": 10, "g{process=1-3}": 20})
	w.leave(young)
	w.check("the only living one gone", values{"g{process=1}": 10, "g{process=1-2}": 20})
}

// A label that is no text would make the registry refuse the scrape.
func TestProcessLabelIsText(t *testing.T) {
	w := newWorld(t)
	w.define(w.join(start(1, "caf\xc3")), gaugeFamily("g", layout.All), nil, gaugeCells(layout.All, 1, 0)...)
	w.define(w.join(start(2, "caf\xff")), gaugeFamily("g", layout.All), nil, gaugeCells(layout.All, 2, 0)...)
	w.check("cut and broken", values{"g{process=caf\ufffd}": 1, "g{process=caf\ufffd-2}": 2})
}

// A process whose last sample with a label "process" was deleted leaves the
// label to another, and must not come back with it.
func TestProcessLabelThatWasLeft(t *testing.T) {
	m := New()
	each := gaugeFamily("g", layout.All)
	values := gaugeCells(layout.All, 1, 0)
	join := func(start int64) *Member {
		return m.Join(Process{ID: layout.NewID(), Start: start, Label: "p", Live: true})
	}
	scrape := func(members ...*Member) []string {
		m.Begin()
		for _, mb := range members {
			m.Add(mb, values)
		}
		var labels []string
		for _, f := range m.Families() {
			for _, s := range f.Series {
				labels = append(labels, s.Labels[0].Value)
			}
		}
		return labels
	}
	older, newer := join(1), join(2)
	m.Extend(older, []*layout.Family{each}, []Input{{}})
	m.Extend(newer, []*layout.Family{each}, []Input{{}})
	scrape(older, newer)
	m.Remove(newer, 0)
	m.Remove(older, 0)
	scrape()
	m.Extend(newer, nil, []Input{{}})
	if got, want := scrape(newer), []string{"p"}; !slices.Equal(got, want) {
		t.Errorf("alone: labels %q, want %q", got, want)
	}
	m.Extend(older, nil, []Input{{}})
	if got, want := scrape(older, newer), []string{"p", "p-2"}; !slices.Equal(got, want) {
		t.Errorf("both: labels %q, want %q", got, want)
	}
}
