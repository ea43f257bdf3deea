package merge

import (
	"cmp"
	"math"
	"slices"
	"sort"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Exemplar is the merged part of an exemplar. The newest exemplar wins; among equally new
// exemplars the highest value wins.
type Exemplar struct {
	Value float64
	Time  int64 // Unix nanoseconds
	Ref   any   // the caller's
}

func (e *Exemplar) before(o *Exemplar) bool {
	return e == nil || e.Time < o.Time || e.Time == o.Time && (e.Value < o.Value || math.IsNaN(e.Value))
}

// exemplified returns the series of an exemplar of a member, nil if the values of the member are
// not merged into the family that is shown under the name.
func (m *Merger) exemplified(mb *Member, name string, labels []layout.Label) *Series {
	s := m.series[seriesKey(name, labels)]
	if s == nil {
		return nil
	}
	if mb.shown == nil {
		mb.shown = map[*Family]bool{}
		for i, d := range mb.defs {
			if mb.votes[i] && d.takes(mb.Live) {
				mb.shown[d.merged] = true
			}
		}
	}
	if !mb.shown[s.family] {
		return nil
	}
	return s
}

// AddExemplar offers an exemplar of a member's series, with the labels of the series by name. bound
// is the upper bound of a bucket of a histogram, and NaN for a counter. Call AddExemplar after
// Begin. An exemplar of a series that is not merged is ignored.
func (m *Merger) AddExemplar(mb *Member, name string, labels []layout.Label, bound float64, e Exemplar) {
	s := m.exemplified(mb, name, labels)
	if s == nil {
		return
	}
	slot := 0
	switch s.family.Type {
	case layout.Counter:
		if !math.IsNaN(bound) {
			return // of a former type
		}
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

// Exemplars are the exemplars of a series: one for a counter, one for each bucket of a histogram,
// +Inf last. An element is nil if the bucket has no exemplar; the slice is nil if the series has
// no exemplar.
func (s *Series) Exemplars() []*Exemplar { return s.exemplars }

// usualNativeExemplars is the default number of exemplars in a native histogram of client_golang.
const usualNativeExemplars = 10

// nativeExemplars are the exemplars of the native buckets of a series.
type nativeExemplars struct {
	all  []Exemplar
	from *Member // member of the last exemplar
	n    int     // exemplars of from
	most int     // most exemplars of a single member
}

// AddNativeExemplar offers an exemplar of the native buckets of a series. The caller offers all
// exemplars of a member in a row, in their order.
func (m *Merger) AddNativeExemplar(mb *Member, name string, labels []layout.Label, e Exemplar) {
	s := m.exemplified(mb, name, labels)
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
