package merge

import (
	"math"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// The newest exemplar is shown, of equally new ones that with the higher value, in
// the bucket that the merged family has for it. None outlives a scrape.
func TestExemplars(t *testing.T) {
	m := New()
	labels := []layout.Label{{Name: "l", Value: "x"}}
	mb := m.Join(Process{ID: layout.NewID(), Start: 1, Live: true})
	m.Extend(mb, []*layout.Family{counterOf("c", "l"), histogramOf("h", 1, 2), gaugeFamily("g", layout.Sum)}, []Input{
		{Family: 0, Values: []string{"x"}}, {Family: 1}, {Family: 2},
	})
	m.Begin()
	m.AddExemplar("c", labels, math.NaN(), Exemplar{Value: 1, Time: 5, Ref: "older"})
	m.AddExemplar("c", labels, math.NaN(), Exemplar{Value: 2, Time: 7, Ref: "newer"})
	m.AddExemplar("c", labels, math.NaN(), Exemplar{Value: 3, Time: 6, Ref: "between"})
	m.AddExemplar("c", labels, math.NaN(), Exemplar{Value: 4, Time: 7, Ref: "higher"})
	m.AddExemplar("c", labels, math.NaN(), Exemplar{Value: math.NaN(), Time: 7, Ref: "no number"})
	for _, bound := range []float64{0.5, 2, 3, math.Inf(+1), math.NaN()} {
		m.AddExemplar("h", nil, bound, Exemplar{Value: bound, Time: 1, Ref: bound})
	}
	m.AddExemplar("g", nil, math.NaN(), Exemplar{Ref: "of a gauge"})
	m.AddExemplar("nobody", labels, math.NaN(), Exemplar{Ref: "of no series"})
	series := map[string]*Series{}
	for _, f := range m.Families() {
		series[f.Name] = f.Series[0]
	}
	if e := series["c"].Exemplars(); len(e) != 1 || e[0].Ref != "higher" {
		t.Errorf("counter: %+v, want the newest, and higher", e)
	}
	h := series["h"].Exemplars()
	if len(h) != 3 || h[0].Ref != 0.5 || h[1].Ref != 2.0 || h[2].Ref != math.Inf(+1) {
		t.Errorf("histogram: %+v", h)
	}
	if series["g"].Exemplars() != nil {
		t.Error("a gauge has an exemplar")
	}
	m.Begin()
	if series["c"].Exemplars() != nil || series["h"].Exemplars() != nil {
		t.Error("exemplars of the scrape before")
	}
}
