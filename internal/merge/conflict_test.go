package merge

import (
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// definer is one process's wording of a family and what its cells hold.
type definer struct {
	family *layout.Family
	labels []string
	cells  []uint64
}

func with(f layout.Family, change func(*layout.Family)) *layout.Family {
	change(&f)
	return &f
}

// Each conflict, seen in both orders of joining: the newest process decides
// and not the order in which files are read. Then the newer one leaves and
// comes back.
func TestConflicts(t *testing.T) {
	help := func(text string) *layout.Family {
		return with(*counterOf("c"), func(f *layout.Family) { f.Help = text })
	}
	unit := func(u string) *layout.Family {
		return with(*counterOf("c"), func(f *layout.Family) { f.Unit = u })
	}
	for _, c := range []struct {
		name         string
		older, newer definer
		want, alone  values // merged, and the older one alone
		conflicts    map[Reason]int
	}{
		{
			"type, counter to gauge",
			definer{counterOf("x"), nil, counterCells(4)},
			definer{gaugeFamily("x", layout.Sum), nil, gaugeCells(layout.Sum, 3, 0)},
			values{"x": 3},
			values{"x": 4},
			map[Reason]int{TypeConflict: 1},
		},
		{
			"type, gauge to counter",
			definer{gaugeFamily("x", layout.Sum), nil, gaugeCells(layout.Sum, 3, 0)},
			definer{counterOf("x"), nil, counterCells(4)},
			values{"x": 4},
			values{"x": 3},
			map[Reason]int{TypeConflict: 1},
		},
		{
			"mode, sum to max",
			definer{gaugeFamily("x", layout.Sum), nil, gaugeCells(layout.Sum, 6, 0)},
			definer{gaugeFamily("x", layout.Max), nil, gaugeCells(layout.Max, 4, 0)},
			values{"x": 6},
			values{"x": 6},
			map[Reason]int{ModeConflict: 1},
		},
		{
			"mode, max to sum",
			definer{gaugeFamily("x", layout.Max), nil, gaugeCells(layout.Max, 6, 0)},
			definer{gaugeFamily("x", layout.Sum), nil, gaugeCells(layout.Sum, 4, 0)},
			values{"x": 10},
			values{"x": 6},
			map[Reason]int{ModeConflict: 1},
		},
		{
			"mode, to one that needs a time",
			definer{gaugeFamily("x", layout.Max), nil, gaugeCells(layout.Max, 6, 0)},
			definer{gaugeFamily("x", layout.MostRecent), nil, gaugeCells(layout.MostRecent, 4, 1)},
			values{"x": 4},
			values{"x": 6},
			map[Reason]int{ModeConflict: 1},
		},
		{
			"mode, from one that has a time",
			definer{gaugeFamily("x", layout.LiveMostRecent), nil, gaugeCells(layout.MostRecent, 6, 1)},
			definer{gaugeFamily("x", layout.Max), nil, gaugeCells(layout.Max, 4, 0)},
			values{"x": 4},
			values{"x": 6},
			map[Reason]int{ModeConflict: 1},
		},
		{
			"mode, to one that adds a label",
			definer{gaugeFamily("x", layout.Max), nil, gaugeCells(layout.Max, 6, 0)},
			definer{gaugeFamily("x", layout.LiveAll), nil, gaugeCells(layout.LiveAll, 4, 0)},
			values{"x{process=older}": 6, "x{process=newer}": 4},
			values{"x": 6},
			map[Reason]int{ModeConflict: 1},
		},
		{
			"mode, to one that adds a label which is there",
			definer{gaugeFamily("x", layout.Max, "process"), []string{"mine"}, gaugeCells(layout.Max, 6, 0)},
			definer{gaugeFamily("x", layout.All), nil, gaugeCells(layout.All, 4, 0)},
			values{"x{process=newer}": 4},
			values{"x{process=mine}": 6},
			map[Reason]int{ModeConflict: 1, LabelsConflict: 1},
		},
		{
			"mode, from one that added a label",
			definer{gaugeFamily("x", layout.All), nil, gaugeCells(layout.All, 4, 0)},
			definer{gaugeFamily("x", layout.Max, "process"), []string{"mine"}, gaugeCells(layout.Max, 6, 0)},
			values{"x": 4, "x{process=mine}": 6},
			values{"x{process=older}": 4},
			map[Reason]int{ModeConflict: 1, LabelsConflict: 1},
		},
		{
			"help",
			definer{help("old"), nil, counterCells(3)},
			definer{help("new"), nil, counterCells(4)},
			values{"c": 7},
			values{"c": 3},
			map[Reason]int{HelpConflict: 1},
		},
		{
			"unit",
			definer{unit("seconds"), nil, counterCells(3)},
			definer{unit(""), nil, counterCells(4)},
			values{"c": 7},
			values{"c": 3},
			map[Reason]int{HelpConflict: 1},
		},
		{
			"labels",
			definer{counterOf("c", "a"), []string{"x"}, counterCells(3)},
			definer{counterOf("c", "b"), []string{"x"}, counterCells(4)},
			values{"c{a=x}": 3, "c{b=x}": 4},
			values{"c{a=x}": 3},
			map[Reason]int{LabelsConflict: 1},
		},
		{
			"a label that became constant is none",
			definer{counterOf("c", "a"), []string{"x"}, counterCells(3)},
			definer{with(*counterOf("c"), func(f *layout.Family) { f.ConstLabels = []layout.Label{{Name: "a", Value: "x"}} }), nil, counterCells(4)},
			values{"c{a=x}": 7},
			values{"c{a=x}": 3},
			nil,
		},
		{
			"the order of labels is none",
			definer{counterOf("c", "a", "b"), []string{"x", "y"}, counterCells(3)},
			definer{counterOf("c", "b", "a"), []string{"y", "x"}, counterCells(4)},
			values{"c{a=x,b=y}": 7},
			values{"c{a=x,b=y}": 3},
			nil,
		},
		{
			"buckets, some in common",
			definer{histogramOf("h", 1, 2), nil, histogramCells(11, 1, 1, 1)},
			definer{histogramOf("h", 1.5, 2), nil, histogramCells(2.9, 1, 1, 0)},
			values{"h_count": 5, "h_sum": 13.9, "h_le_2": 4, "h_le_+Inf": 1},
			values{"h_count": 3, "h_sum": 11, "h_le_1": 1, "h_le_2": 1, "h_le_+Inf": 1},
			map[Reason]int{BucketsConflict: 1},
		},
		{
			"buckets, the newer ones among the older",
			definer{histogramOf("h", 1, 2, 3, 4), nil, histogramCells(20, 1, 2, 3, 4, 5)},
			definer{histogramOf("h", 2, 4), nil, histogramCells(9, 10, 20, 30)},
			values{"h_count": 75, "h_sum": 29, "h_le_2": 13, "h_le_4": 27, "h_le_+Inf": 35},
			values{"h_count": 15, "h_sum": 20, "h_le_1": 1, "h_le_2": 2, "h_le_3": 3, "h_le_4": 4, "h_le_+Inf": 5},
			map[Reason]int{BucketsConflict: 1},
		},
		{
			"buckets, none in common",
			definer{histogramOf("h", 1, 3), nil, histogramCells(11, 1, 2, 3)},
			definer{histogramOf("h", 2), nil, histogramCells(2, 4, 5)},
			values{"h_count": 15, "h_sum": 13, "h_le_+Inf": 15},
			values{"h_count": 6, "h_sum": 11, "h_le_1": 1, "h_le_3": 2, "h_le_+Inf": 3},
			map[Reason]int{BucketsConflict: 1},
		},
		{
			"suffix, the counter is newer",
			definer{histogramOf("req"), nil, histogramCells(3, 2)},
			definer{counterOf("req_count"), nil, counterCells(4)},
			values{"req_count": 4},
			values{"req_count": 2, "req_sum": 3, "req_le_+Inf": 2},
			map[Reason]int{SuffixConflict: 1},
		},
		{
			"suffix, the histogram is newer",
			definer{counterOf("req_bucket"), nil, counterCells(4)},
			definer{histogramOf("req"), nil, histogramCells(3, 2)},
			values{"req_count": 2, "req_sum": 3, "req_le_+Inf": 2},
			values{"req_bucket": 4},
			map[Reason]int{SuffixConflict: 1},
		},
		{
			"a suffix of nobody is none",
			definer{counterOf("req_total"), nil, counterCells(4)},
			definer{histogramOf("req"), nil, histogramCells(3, 2)},
			values{"req_total": 4, "req_count": 2, "req_sum": 3, "req_le_+Inf": 2},
			values{"req_total": 4},
			nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, newerFirst := range []bool{false, true} {
				for _, stepwise := range []bool{false, true} {
					w := newWorld(t)
					// undisputed has to stay what it is throughout.
					undisputed := values{"n": 1}
					w.define(w.join(start(1, "bystander")), counterOf("n"), nil, counterCells(1)...)
					older := func() *peer {
						return w.define(w.join(start(10, "older")), c.older.family, c.older.labels, c.older.cells...)
					}
					newer := func() *peer {
						return w.define(w.join(start(20, "newer")), c.newer.family, c.newer.labels, c.newer.cells...)
					}
					first, second := older, newer
					if newerFirst {
						first, second = newer, older
					}
					a := first()
					if stepwise {
						w.sum()
					}
					b := second()
					w.check("both", both(c.want, undisputed))
					w.checkReasons("both", c.conflicts)
					w.check("both, once more", both(c.want, undisputed))
					if newerFirst {
						a, b = b, a
					}
					w.leave(b)
					w.check("the older alone", both(c.alone, undisputed))
					w.checkReasons("the older alone", nil)
					newer()
					w.check("the newer is back", both(c.want, undisputed))
					w.checkReasons("the newer is back", c.conflicts)
					w.leave(a)
					w.sum()
					w.checkReasons("the newer alone", nil)
				}
			}
		})
	}
}

// The dead count as much as the living: what a total is made of must not
// change when its newest process dies.
func TestConflictDeadDecides(t *testing.T) {
	w := newWorld(t)
	w.define(w.join(start(10, "older")), counterOf("x"), nil, counterCells(4)...)
	newer := w.define(w.join(start(20, "newer")), gaugeFamily("x", layout.Sum), nil, gaugeCells(layout.Sum, 3, 0)...)
	w.check("alive", values{"x": 3})
	w.m.SetLive(newer.member, false)
	w.check("dead", values{"x": 3})
}

// One process may define a name twice, with different constant labels. Which of
// two modes is in force must not depend on the order of reading.
func TestConflictWithinOneProcess(t *testing.T) {
	zone := func(mode layout.Mode, value string) *layout.Family {
		return with(*gaugeFamily("g", mode), func(f *layout.Family) { f.ConstLabels = []layout.Label{{Name: "zone", Value: value}} })
	}
	results := map[string]bool{}
	for _, oldFirst := range []bool{true, false} {
		w := newWorld(t)
		old := func() {
			w.define(w.join(start(10, "old")), zone(layout.Sum, "b"), nil, gaugeCells(layout.Sum, 1, 0)...)
		}
		if oldFirst {
			old()
		}
		p := w.join(start(20, "new"))
		w.define(p, zone(layout.Max, "a"), nil, gaugeCells(layout.Max, 1, 0)...)
		w.define(p, zone(layout.Sum, "b"), nil, gaugeCells(layout.Sum, 1, 0)...)
		if !oldFirst {
			old()
		}
		w.sum()
		results[w.m.Families()[0].Mode.String()] = true
	}
	if len(results) != 1 {
		t.Errorf("modes in force, by order of reading: %v, want one", results)
	}
}
