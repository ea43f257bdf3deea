package merge

import (
	"fmt"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// partsOf are parts as text, by name and labels.
func partsOf(parts map[*Series]Part) map[string]string {
	out := map[string]string{}
	for s, p := range parts {
		value := ""
		switch f := s.family; {
		case f.Mode.Valid():
			value = fmt.Sprint(p.Gauge())
		case f.Type == layout.Counter:
			value = fmt.Sprint(p.Counter())
		default:
			n, sum := p.Observations()
			value = fmt.Sprint(n, sum, p.Buckets())
			if native := p.Native(); native != nil {
				value += fmt.Sprint(" ", *native)
			}
		}
		out[s.family.Name+text(s.Labels)] = fmt.Sprint(value, " since ", p.Created)
	}
	return out
}

// What each has is told by the rules that made the merged value: here the bounds
// that both histograms share, and the label that tells processes apart.
func TestParts(t *testing.T) {
	w := newWorld(t)
	all := gaugeFamily("g", layout.All)
	ledger := NewLedger()
	ledger.Absorb(start(1, "dead"), []*layout.Family{counterOf("c")}, []Input{{Created: 1}}, counterCells(100), nil, 1)
	ledger.Absorb(start(2, "gone"), []*layout.Family{all}, []Input{{Created: 2}}, gaugeCells(layout.All, 7, 0), nil, 1)
	w.m.Carry(ledger)
	one := w.define(w.join(start(3, "one")), counterOf("c"), nil, counterCells(3)...)
	w.define(one, histogramOf("h", 1, 2, 3), nil, histogramCells(6, 1, 2, 3, 4)...)
	native := &layout.Native{Schema: 1, Positive: []layout.NativeBucket{{Index: 3, Count: 2}}}
	w.define(one, &layout.Family{Type: layout.NativeHistogram, Name: "n", Help: "h"}, nil, histogramCells(5, 2)...)
	two := w.define(w.join(start(4, "one")), counterOf("c"), nil, counterCells(5)...)
	w.define(two, histogramOf("h", 2), nil, histogramCells(1, 1, 0)...)
	w.define(two, all, nil, gaugeCells(layout.All, 8, 0)...)
	w.define(two, gaugeFamily("again", layout.Sum), nil, gaugeCells(layout.Sum, 1, 0)...)
	w.define(two, gaugeFamily("again", layout.Sum), nil, gaugeCells(layout.Sum, 2, 0)...)
	w.sum()

	of := map[*Series]bool{}
	for _, f := range w.m.Families() {
		for _, s := range f.Series {
			of[s] = true
		}
	}
	for _, c := range []struct {
		what string
		got  map[*Series]Part
		want map[string]string
	}{
		{
			what: "one",
			got:  w.m.Parts(one.member, one.cells, map[int]*layout.Native{2: native}, of),
			want: map[string]string{"c": "3 since 3", "h": "10 6 [3 7] since 3", "n": "2 5 [2] {1 0 0 [{3 2}] []} since 3"},
		},
		{what: "two", got: w.m.Parts(two.member, two.cells, nil, of), want: map[string]string{
			"c": "5 since 4", "h": "1 1 [1 0] since 4", "g{process=one}": "8 since 4", "again": "2 since 4",
		}},
		{what: "nothing", got: w.m.Parts(two.member, two.cells, nil, nil), want: map[string]string{}},
		{what: "ledger", got: w.m.CarriedParts(of), want: map[string]string{"c": "100 since 1"}},
	} {
		if diff := gocmp.Diff(c.want, partsOf(c.got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
	}
	dead := map[string]string{}
	for s, by := range w.m.DeadParts(of) {
		for mb, p := range by {
			dead[mb.Label+" "+s.family.Name+text(s.Labels)] = fmt.Sprint(p.Gauge())
		}
	}
	if diff := gocmp.Diff(map[string]string{"gone g{process=gone}": "7"}, dead); diff != "" {
		t.Errorf("dead (-want +got):\n%s", diff)
	}
}
