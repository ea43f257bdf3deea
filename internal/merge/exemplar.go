package merge

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Exemplar is an exemplar as far as it is merged: the newest is shown, and of
// equally new ones that with the higher value.
type Exemplar struct {
	Value float64
	Time  int64 // Unix nanoseconds
	Ref   any   // the caller's
}

func (e *Exemplar) before(o *Exemplar) bool {
	return e == nil || e.Time < o.Time || e.Time == o.Time && (e.Value < o.Value || math.IsNaN(e.Value))
}

// AddExemplar offers an exemplar of a series, with its labels by name: of a counter,
// or of the bucket of a histogram with an upper bound. It comes after Begin. What
// is not merged has no exemplar either.
func (m *Merger) AddExemplar(name string, labels []layout.Label, bound float64, e Exemplar) {
	s := m.series[seriesKey(name, labels)]
	if s == nil {
		return
	}
	slot := 0
	switch s.family.Type {
	case layout.Counter:
	case layout.Histogram, layout.NativeHistogram:
		if math.IsNaN(bound) {
			return
		}
		slot = sort.SearchFloat64s(s.family.Bounds, bound)
	default:
		return
	}
	if s.exemplars == nil {
		n := 1
		if s.family.Type.Bucketed() {
			n = len(s.family.Bounds) + 1
		}
		s.exemplars = make([]*Exemplar, n)
		m.exemplared = append(m.exemplared, s)
	}
	if s.exemplars[slot].before(&e) {
		s.exemplars[slot] = &e
	}
}

// Exemplars are the exemplars of a series: one of a counter, one for each bucket of
// a histogram, that of +Inf last. nil stands for none; nil alone for none at all.
func (s *Series) Exemplars() []*Exemplar { return s.exemplars }

// usualNativeExemplars is how many exemplars a native histogram of client_golang has
// unless it is configured otherwise.
const usualNativeExemplars = 10

// nativeExemplars are the exemplars of the native buckets of a series.
type nativeExemplars struct {
	all  []Exemplar
	from *Member // whose the last one is
	n    int     // of that member
	most int     // that any member has
}

// AddNativeExemplar offers an exemplar of the native buckets of a series. Those of a
// member come one after the other, in their order.
func (m *Merger) AddNativeExemplar(mb *Member, name string, labels []layout.Label, e Exemplar) {
	s := m.series[seriesKey(name, labels)]
	if s == nil || s.family.Type != layout.NativeHistogram {
		return
	}
	x := s.nativeExemplars
	if x == nil {
		x = &nativeExemplars{}
		s.nativeExemplars = x
		m.exemplared = append(m.exemplared, s)
	}
	if x.from != mb {
		x.from, x.n = mb, 0
	}
	x.n++
	x.most = max(x.most, x.n)
	x.all = append(x.all, e)
}

// NativeExemplars are the newest exemplars of the native buckets of a series, by
// value: as many as a process has, or ten.
func (s *Series) NativeExemplars() []Exemplar {
	x := s.nativeExemplars
	if x == nil {
		return nil
	}
	all := slices.Clone(x.all)
	if limit := max(usualNativeExemplars, x.most); len(all) > limit {
		slices.SortFunc(all, func(a, b Exemplar) int { return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(b.Value, a.Value)) })
		all = all[:limit]
	}
	slices.SortStableFunc(all, func(a, b Exemplar) int { return cmp.Compare(a.Value, b.Value) })
	return all
}
