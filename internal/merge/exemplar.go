package merge

import (
	"math"
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
	case layout.Histogram:
		if math.IsNaN(bound) {
			return
		}
		slot = sort.SearchFloat64s(s.family.Bounds, bound)
	default:
		return
	}
	if s.exemplars == nil {
		n := 1
		if s.family.Type == layout.Histogram {
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
