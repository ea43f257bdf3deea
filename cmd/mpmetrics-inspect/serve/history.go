package serve

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

const (
	// keptFor is how far back a chart reaches.
	keptFor = 5 * time.Minute

	// A family is sampled for watchedFor after each visit of its page. At most maxWatched families
	// are sampled: each costs a walk over its series.
	watchedFor = 10 * time.Minute
	maxWatched = 20
)

// sample is the count of each process for a family at a time.
type sample struct {
	time   time.Time
	totals map[string]float64 // by name of the file
}

// history are the samples of the watched families.
type history struct {
	families map[string]*watched
}

type watched struct {
	asked   time.Time
	samples []sample
}

// ask notes a visit of a family's page.
func (h *history) ask(family string, now time.Time) {
	w := h.families[family]
	if w == nil {
		if len(h.families) >= maxWatched {
			h.drop()
		}
		w = &watched{}
		h.families[family] = w
	}
	w.asked = now
}

// drop forgets the family with the oldest visit.
func (h *history) drop() {
	names := slices.SortedFunc(maps.Keys(h.families), func(a, b string) int {
		return h.families[a].asked.Compare(h.families[b].asked)
	})
	delete(h.families, names[0])
}

// add takes a sample of each watched family.
func (h *history) add(now time.Time, totals func(family string) map[string]float64) {
	for name, w := range h.families {
		if now.Sub(w.asked) > watchedFor {
			delete(h.families, name)
			continue
		}
		w.samples = append(w.samples, sample{now, totals(name)})
		old := slices.IndexFunc(w.samples, func(s sample) bool { return now.Sub(s.time) <= keptFor })
		w.samples = slices.Clone(w.samples[old:]) // the last sample is new, so old is found
	}
}

// rates are the rates of a process, between each two samples. A point is missing if the process is
// missing in one of the samples, or was reset.
type rates struct {
	process string
	points  []point
	last    float64 // the newest; 0 if there is none
}

type point struct {
	time time.Time
	rate float64
}

// of returns the rates of a family, the fastest process first.
func (h *history) of(family string) (all []rates, from, to time.Time) {
	w := h.families[family]
	if w == nil || len(w.samples) < 2 {
		return nil, time.Time{}, time.Time{}
	}
	byProcess := map[string]*rates{}
	for i, s := range w.samples[1:] {
		before := w.samples[i]
		seconds := s.time.Sub(before.time).Seconds()
		for process, v := range s.totals {
			old, known := before.totals[process]
			if !known || v < old || seconds <= 0 {
				continue
			}
			r := byProcess[process]
			if r == nil {
				r = &rates{process: process}
				byProcess[process] = r
			}
			r.points = append(r.points, point{s.time, (v - old) / seconds})
		}
	}
	to = w.samples[len(w.samples)-1].time
	for _, r := range byProcess {
		if last := r.points[len(r.points)-1]; last.time.Equal(to) {
			r.last = last.rate
		}
		all = append(all, *r)
	}
	slices.SortFunc(all, compareRates)
	return all, w.samples[0].time, to
}

func compareRates(a, b rates) int {
	return cmp.Or(cmp.Compare(b.last, a.last), cmp.Compare(len(b.points), len(a.points)), cmp.Compare(a.process, b.process))
}
