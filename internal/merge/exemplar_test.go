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
	m.AddExemplar(mb, "c", labels, math.NaN(), Exemplar{Value: 1, Time: 5, Ref: "older"})
	m.AddExemplar(mb, "c", labels, math.NaN(), Exemplar{Value: 2, Time: 7, Ref: "newer"})
	m.AddExemplar(mb, "c", labels, math.NaN(), Exemplar{Value: 3, Time: 6, Ref: "between"})
	m.AddExemplar(mb, "c", labels, math.NaN(), Exemplar{Value: 4, Time: 7, Ref: "higher"})
	m.AddExemplar(mb, "c", labels, math.NaN(), Exemplar{Value: math.NaN(), Time: 7, Ref: "no number"})
	for _, bound := range []float64{0.5, 2, 3, math.Inf(+1), math.NaN()} {
		m.AddExemplar(mb, "h", nil, bound, Exemplar{Value: bound, Time: 1, Ref: bound})
	}
	m.AddExemplar(mb, "g", nil, math.NaN(), Exemplar{Ref: "of a gauge"})
	m.AddExemplar(mb, "nobody", labels, math.NaN(), Exemplar{Ref: "of no series"})
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

// The series that is shown takes exemplars of its own type only: none of a process with another
// type, and none of the type that its process had before.
func TestExemplarOfAnotherType(t *testing.T) {
	counter, histogram := counterOf("x"), histogramOf("x", 1, 2)
	native := with(*histogram, func(f *layout.Family) { f.Type = layout.NativeHistogram })
	bounds := map[*layout.Family]float64{counter: math.NaN(), histogram: 1, native: 1}
	for _, c := range []struct {
		name           string
		other, inForce *layout.Family
	}{
		{name: "of a counter, beside a histogram", other: counter, inForce: histogram},
		{name: "of a histogram, beside a counter", other: histogram, inForce: counter},
		{name: "of a histogram, beside a native histogram", other: histogram, inForce: native},
	} {
		check := func(when string, m *Merger, other, shown *Member) {
			t.Helper()
			m.Begin()
			s := m.Families()[0].Series[0]
			if other != shown || c.inForce.Type != layout.NativeHistogram { // classic buckets of both may have exemplars
				m.AddExemplar(other, "x", nil, bounds[c.other], Exemplar{Value: 1, Time: 9})
			}
			if s.Exemplars() != nil {
				t.Errorf("exemplar %s, %s: it is shown", c.name, when)
			}
			m.AddExemplar(shown, "x", nil, bounds[c.inForce], Exemplar{Value: 2, Time: 1})
			if s.Exemplars() == nil {
				t.Errorf("exemplar %s, %s: that of the family in force is missing", c.name, when)
			}
		}
		m := New()
		older := m.Join(Process{ID: layout.NewID(), Start: 1, Live: true})
		newer := m.Join(Process{ID: layout.NewID(), Start: 2, Live: true})
		m.Extend(older, []*layout.Family{c.other}, []Input{{Family: 0}})
		m.Extend(newer, []*layout.Family{c.inForce}, []Input{{Family: 0}})
		check("in an older process", m, older, newer)
		m.Leave(newer)
		m.Remove(older, 0)
		m.Extend(older, []*layout.Family{c.inForce}, []Input{{Family: 1}})
		check("in the process that had the type before", m, older, older)
	}
}
