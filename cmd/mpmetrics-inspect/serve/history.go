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

	// leastApart is the least time between two samples: a chart has no place for more. It is less
	// than the default interval, which is never kept exactly.
	leastApart = 1500 * time.Millisecond

	// maxWords bounds all samples together, in words of eight bytes: 15 MiB, for two families of
	// 5000 processes. A name takes nameWords.
	maxWords  = 15 << 20 / 8
	nameWords = 8
)

// sample is the count of each process for a family at a time.
type sample struct {
	time   time.Time
	names  []string // of the files, sorted; samples of the same processes share one slice
	counts []float64
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
		w.take(now, totals(name))
	}
	h.bound()
}

// take takes a sample, and drops samples beyond keptFor. The new sample takes the place of the last
// sample if that one is less than leastApart after its own predecessor.
func (w *watched) take(now time.Time, totals map[string]float64) {
	var names []string
	if n := len(w.samples); n > 0 {
		names = w.samples[n-1].names
	}
	missing := func(name string) bool {
		_, there := totals[name]
		return !there
	}
	if len(names) != len(totals) || slices.ContainsFunc(names, missing) {
		names = slices.Sorted(maps.Keys(totals))
	}
	counts := make([]float64, len(names))
	for i, name := range names {
		counts[i] = totals[name]
	}
	if n := len(w.samples); n > 1 && w.samples[n-1].time.Sub(w.samples[n-2].time) < leastApart {
		w.samples = w.samples[:n-1]
	}
	w.samples = append(w.samples, sample{now, names, counts})
	old := slices.IndexFunc(w.samples, func(s sample) bool { return now.Sub(s.time) <= keptFor })
	w.samples = slices.Clone(w.samples[old:]) // the last sample is new, so old is found
}

// bound drops families while the samples take more than maxWords, the oldest visit first, and then
// the oldest samples of the last family.
func (h *history) bound() {
	for h.words() > maxWords && len(h.families) > 1 {
		h.drop()
	}
	for _, w := range h.families {
		for w.words() > maxWords {
			w.samples = slices.Clone(w.samples[1+len(w.samples)/8:])
		}
	}
}

func (h *history) words() (n int) {
	for _, w := range h.families {
		n += w.words()
	}
	return n
}

// words is the memory of the samples, in words.
func (w *watched) words() (n int) {
	var before []string
	for _, s := range w.samples {
		n += len(s.counts)
		if len(s.names) > 0 && (len(before) == 0 || &s.names[0] != &before[0]) {
			n += nameWords * len(s.names)
		}
		before = s.names
	}
	return n
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
		at := 0 // in the sample before
		for j, process := range s.names {
			for at < len(before.names) && before.names[at] < process {
				at++
			}
			if at == len(before.names) || before.names[at] != process {
				continue
			}
			v, old := s.counts[j], before.counts[at]
			if v < old || seconds <= 0 {
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
