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
			name:      "type, counter to gauge",
			older:     definer{family: counterOf("x"), labels: nil, cells: counterCells(4)},
			newer:     definer{family: gaugeFamily("x", layout.Sum), labels: nil, cells: gaugeCells(layout.Sum, 3, 0)},
			want:      values{"x": 3},
			alone:     values{"x": 4},
			conflicts: map[Reason]int{TypeConflict: 1},
		},
		{
			name:      "type, gauge to counter",
			older:     definer{family: gaugeFamily("x", layout.Sum), labels: nil, cells: gaugeCells(layout.Sum, 3, 0)},
			newer:     definer{family: counterOf("x"), labels: nil, cells: counterCells(4)},
			want:      values{"x": 4},
			alone:     values{"x": 3},
			conflicts: map[Reason]int{TypeConflict: 1},
		},
		{
			name:      "mode, sum to max",
			older:     definer{family: gaugeFamily("x", layout.Sum), labels: nil, cells: gaugeCells(layout.Sum, 6, 0)},
			newer:     definer{family: gaugeFamily("x", layout.Max), labels: nil, cells: gaugeCells(layout.Max, 4, 0)},
			want:      values{"x": 6},
			alone:     values{"x": 6},
			conflicts: map[Reason]int{ModeConflict: 1},
		},
		{
			name:      "mode, max to sum",
			older:     definer{family: gaugeFamily("x", layout.Max), labels: nil, cells: gaugeCells(layout.Max, 6, 0)},
			newer:     definer{family: gaugeFamily("x", layout.Sum), labels: nil, cells: gaugeCells(layout.Sum, 4, 0)},
			want:      values{"x": 10},
			alone:     values{"x": 6},
			conflicts: map[Reason]int{ModeConflict: 1},
		},
		{
			name:      "mode, to one that needs a time",
			older:     definer{family: gaugeFamily("x", layout.Max), labels: nil, cells: gaugeCells(layout.Max, 6, 0)},
			newer:     definer{family: gaugeFamily("x", layout.MostRecent), labels: nil, cells: gaugeCells(layout.MostRecent, 4, 1)},
			want:      values{"x": 4},
			alone:     values{"x": 6},
			conflicts: map[Reason]int{ModeConflict: 1},
		},
		{
			name:      "mode, from one that has a time",
			older:     definer{family: gaugeFamily("x", layout.LiveMostRecent), labels: nil, cells: gaugeCells(layout.MostRecent, 6, 1)},
			newer:     definer{family: gaugeFamily("x", layout.Max), labels: nil, cells: gaugeCells(layout.Max, 4, 0)},
			want:      values{"x": 4},
			alone:     values{"x": 6},
			conflicts: map[Reason]int{ModeConflict: 1},
		},
		{
			name:      "mode, to one that adds a label",
			older:     definer{family: gaugeFamily("x", layout.Max), labels: nil, cells: gaugeCells(layout.Max, 6, 0)},
			newer:     definer{family: gaugeFamily("x", layout.LiveAll), labels: nil, cells: gaugeCells(layout.LiveAll, 4, 0)},
			want:      values{"x{process=older}": 6, "x{process=newer}": 4},
			alone:     values{"x": 6},
			conflicts: map[Reason]int{ModeConflict: 1},
		},
		{
			name:      "mode, to one that adds a label which is there",
			older:     definer{family: gaugeFamily("x", layout.Max, "process"), labels: []string{"mine"}, cells: gaugeCells(layout.Max, 6, 0)},
			newer:     definer{family: gaugeFamily("x", layout.All), labels: nil, cells: gaugeCells(layout.All, 4, 0)},
			want:      values{"x{process=newer}": 4},
			alone:     values{"x{process=mine}": 6},
			conflicts: map[Reason]int{ModeConflict: 1, LabelsConflict: 1},
		},
		{
			name:      "mode, from one that added a label",
			older:     definer{family: gaugeFamily("x", layout.All), labels: nil, cells: gaugeCells(layout.All, 4, 0)},
			newer:     definer{family: gaugeFamily("x", layout.Max, "process"), labels: []string{"mine"}, cells: gaugeCells(layout.Max, 6, 0)},
			want:      values{"x": 4, "x{process=mine}": 6},
			alone:     values{"x{process=older}": 4},
			conflicts: map[Reason]int{ModeConflict: 1, LabelsConflict: 1},
		},
		{
			name:      "help",
			older:     definer{family: help("old"), labels: nil, cells: counterCells(3)},
			newer:     definer{family: help("new"), labels: nil, cells: counterCells(4)},
			want:      values{"c": 7},
			alone:     values{"c": 3},
			conflicts: map[Reason]int{HelpConflict: 1},
		},
		{
			name:      "unit",
			older:     definer{family: unit("seconds"), labels: nil, cells: counterCells(3)},
			newer:     definer{family: unit(""), labels: nil, cells: counterCells(4)},
			want:      values{"c": 7},
			alone:     values{"c": 3},
			conflicts: map[Reason]int{HelpConflict: 1},
		},
		{
			name:      "labels",
			older:     definer{family: counterOf("c", "a"), labels: []string{"x"}, cells: counterCells(3)},
			newer:     definer{family: counterOf("c", "b"), labels: []string{"x"}, cells: counterCells(4)},
			want:      values{"c{a=x}": 3, "c{b=x}": 4},
			alone:     values{"c{a=x}": 3},
			conflicts: map[Reason]int{LabelsConflict: 1},
		},
		{
			name:  "a label that became constant is none",
			older: definer{family: counterOf("c", "a"), labels: []string{"x"}, cells: counterCells(3)},
			newer: definer{
				family: with(*counterOf("c"), func(f *layout.Family) { f.ConstLabels = []layout.Label{{Name: "a", Value: "x"}} }),
				labels: nil,
				cells:  counterCells(4),
			},
			want:      values{"c{a=x}": 7},
			alone:     values{"c{a=x}": 3},
			conflicts: nil,
		},
		{
			name:      "the order of labels is none",
			older:     definer{family: counterOf("c", "a", "b"), labels: []string{"x", "y"}, cells: counterCells(3)},
			newer:     definer{family: counterOf("c", "b", "a"), labels: []string{"y", "x"}, cells: counterCells(4)},
			want:      values{"c{a=x,b=y}": 7},
			alone:     values{"c{a=x,b=y}": 3},
			conflicts: nil,
		},
		{
			name:      "buckets, some in common",
			older:     definer{family: histogramOf("h", 1, 2), labels: nil, cells: histogramCells(11, 1, 1, 1)},
			newer:     definer{family: histogramOf("h", 1.5, 2), labels: nil, cells: histogramCells(2.9, 1, 1, 0)},
			want:      values{"h_count": 5, "h_sum": 13.9, "h_le_2": 4, "h_le_+Inf": 1},
			alone:     values{"h_count": 3, "h_sum": 11, "h_le_1": 1, "h_le_2": 1, "h_le_+Inf": 1},
			conflicts: map[Reason]int{BucketsConflict: 1},
		},
		{
			name:      "buckets, the newer ones among the older",
			older:     definer{family: histogramOf("h", 1, 2, 3, 4), labels: nil, cells: histogramCells(20, 1, 2, 3, 4, 5)},
			newer:     definer{family: histogramOf("h", 2, 4), labels: nil, cells: histogramCells(9, 10, 20, 30)},
			want:      values{"h_count": 75, "h_sum": 29, "h_le_2": 13, "h_le_4": 27, "h_le_+Inf": 35},
			alone:     values{"h_count": 15, "h_sum": 20, "h_le_1": 1, "h_le_2": 2, "h_le_3": 3, "h_le_4": 4, "h_le_+Inf": 5},
			conflicts: map[Reason]int{BucketsConflict: 1},
		},
		{
			name:      "buckets, none in common",
			older:     definer{family: histogramOf("h", 1, 3), labels: nil, cells: histogramCells(11, 1, 2, 3)},
			newer:     definer{family: histogramOf("h", 2), labels: nil, cells: histogramCells(2, 4, 5)},
			want:      values{"h_count": 15, "h_sum": 13, "h_le_+Inf": 15},
			alone:     values{"h_count": 6, "h_sum": 11, "h_le_1": 1, "h_le_3": 2, "h_le_+Inf": 3},
			conflicts: map[Reason]int{BucketsConflict: 1},
		},
		{
			name:      "suffix, the counter is newer",
			older:     definer{family: histogramOf("req"), labels: nil, cells: histogramCells(3, 2)},
			newer:     definer{family: counterOf("req_count"), labels: nil, cells: counterCells(4)},
			want:      values{"req_count": 4},
			alone:     values{"req_count": 2, "req_sum": 3, "req_le_+Inf": 2},
			conflicts: map[Reason]int{SuffixConflict: 1},
		},
		{
			name:      "suffix, the histogram is newer",
			older:     definer{family: counterOf("req_bucket"), labels: nil, cells: counterCells(4)},
			newer:     definer{family: histogramOf("req"), labels: nil, cells: histogramCells(3, 2)},
			want:      values{"req_count": 2, "req_sum": 3, "req_le_+Inf": 2},
			alone:     values{"req_bucket": 4},
			conflicts: map[Reason]int{SuffixConflict: 1},
		},
		{
			name:      "a suffix of nobody is none",
			older:     definer{family: counterOf("req_total"), labels: nil, cells: counterCells(4)},
			newer:     definer{family: histogramOf("req"), labels: nil, cells: histogramCells(3, 2)},
			want:      values{"req_total": 4, "req_count": 2, "req_sum": 3, "req_le_+Inf": 2},
			alone:     values{"req_total": 4},
			conflicts: nil,
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
