package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/store"
)

// What finds no room any more stays as it was: without it the total would dip.
func TestMirrorThatIsFullDoesNotDip(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	g := scraper(t, dir)
	r := promauto.With(s.Registerer())
	var vecs []*prometheus.CounterVec
	for n := range 8 {
		vecs = append(vecs, r.NewCounterVec(prometheus.CounterOpts{Name: fmt.Sprintf("family%d_total", n), Help: "h"}, []string{"l"}))
	}
	last := map[string]float64{}
	for round := range 12 {
		for _, v := range vecs {
			for n := range 8 {
				v.WithLabelValues(fmt.Sprint(round, n, strings.Repeat("x", 8<<10))).Inc()
				v.WithLabelValues(fmt.Sprint(0, n, strings.Repeat("x", 8<<10))).Inc()
			}
		}
		_ = s.Flush(context.Background())
		is := map[string]float64{}
		for name, v := range merged(g) {
			family, _, _ := strings.Cut(name, "/")
			is[family] += v
		}
		for n := range vecs {
			name := fmt.Sprintf("family%d_total", n)
			if is[name] < last[name] {
				t.Fatalf("round %d: %s fell from %v to %v", round, name, last[name], is[name])
			}
		}
		last = is
	}
	if last["mpmetrics_unmirrored_total"] == 0 {
		t.Error("there was room for all: nothing was tried")
	}
}

// Of a family that is too large, native histograms of ours too, some series are shown,
// and go on counting: those that were shown before first of all.
func TestFamilyThatIsTooLargeIsTrimmed(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	g := scraper(t, dir)
	vec := s.NewHistogramVec(nativeOpts, []string{"l"})
	label := func(n int) string { return fmt.Sprintf("%s%05d", strings.Repeat("x", 1000), n) }
	observe := func(from, to int) map[string]uint64 {
		for n := from; n < to; n++ {
			vec.WithLabelValues(label(n)).Observe(float64(n))
		}
		flushUntilLooked(s, g)
		counts := map[string]uint64{}
		for l, h := range histogramsOf(t, g, nativeOpts.Name) {
			counts[l] = h.GetSampleCount()
		}
		return counts
	}
	const fit, all = 600, 1400 // of a kilobyte each
	if got := observe(0, fit); len(got) != fit {
		t.Fatalf("%d series, want %d", len(got), fit)
	}
	var last map[string]uint64
	for round := range 3 {
		got := observe(0, all)
		if len(got) < fit || len(got) == all {
			t.Fatalf("%d series, some %d have room", len(got), fit)
		}
		for n := range all {
			want := uint64(round + 1)
			if n < fit {
				want++
			}
			if count, shown := got[label(n)]; shown && count != want || !shown && (n < fit || last[label(n)] > 0) {
				t.Fatalf("round %d, series %d: %d observations, want %d", round, n, count, want)
			}
		}
		last = got
	}
	for n := range fit {
		vec.DeleteLabelValues(label(n))
	}
	if got := observe(all-1, all); len(got) != all-fit || got[label(all-1)] != 4 {
		t.Errorf("%d series, the last with %d observations: want all %d that are left, and 4", len(got), got[label(all-1)], all-fit)
	}
}

// flushUntilLooked flushes until a look at the collectors took no longer than a flush waits, as on a
// busy machine it may.
func flushUntilLooked(s *store.Store, g prometheus.Gatherer) {
	slow := func() float64 { return merged(g)["mpmetrics_unmirrored_total/slow"] }
	for before := -1.0; before != slow(); {
		before = slow()
		_ = s.Flush(context.Background()) // some series have no room
	}
}
