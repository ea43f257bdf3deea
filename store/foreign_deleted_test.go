package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/store"
)

// Thousands of pods come and go. The pods that are there are shown, the others are not, and what
// is kept for the others is bounded.
func TestPodsThatCameAndWent(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	c := scraper(t, dir)
	r := promauto.With(s.Registerer())
	counters := r.NewCounterVec(prometheus.CounterOpts{Name: "pod_requests_total", Help: "h"}, []string{"pod", "uid"})
	gauges := r.NewGaugeVec(prometheus.GaugeOpts{Name: "pod_up", Help: "h"}, []string{"pod", "uid"})
	histograms := r.NewHistogramVec(prometheus.HistogramOpts{Name: "pod_seconds", Help: "h"}, []string{"pod", "uid"})
	pod := func(i int) []string {
		return []string{fmt.Sprintf("checkout-7d9f8b6c5d-%06d", i), fmt.Sprintf("5b1c6d2e-0000-4000-8000-%012d", i)}
	}
	const all, alive = 8100, 50
	var halfway, end int64
	for i := range all {
		counters.WithLabelValues(pod(i)...).Inc()
		gauges.WithLabelValues(pod(i)...).Set(1)
		histograms.WithLabelValues(pod(i)...).Observe(1)
		if i >= alive {
			gone := pod(i - alive)
			counters.DeleteLabelValues(gone...)
			gauges.DeleteLabelValues(gone...)
			histograms.DeleteLabelValues(gone...)
		}
		if i%alive == alive-1 {
			_ = s.Flush(t.Context())
		}
		switch i {
		case all / 2:
			halfway = heapBytes()
		case all - 1:
			end = heapBytes()
		}
	}
	got := merged(c)
	for _, family := range []string{"pod_requests_total", "pod_up", "pod_seconds"} {
		shown := 0
		for name := range got {
			if strings.HasPrefix(name, family+"/") {
				shown++
			}
		}
		for i := all - alive; i < all; i++ {
			if name := family + "/" + strings.Join(pod(i), "/"); got[name] != 1 {
				t.Errorf("%s is %v, want 1", name, got[name])
			}
		}
		if shown != alive {
			t.Errorf("%d series of %s are shown, want those of the %d pods that are there", shown, family, alive)
		}
	}
	if end > halfway+4<<20 {
		t.Errorf("the heap grew from %d to %d bytes while as many pods came as went", halfway, end)
	}
}

// A series that one process deletes, and another process still has, does not dip. The series leaves
// with the last process that has the series, and goes on when a process makes the series again.
func TestSeriesThatOneProcessDeletes(t *testing.T) {
	dir := inMemory(t)
	g := scraper(t, dir)
	var stores []*store.Store
	var counters []*prometheus.CounterVec
	var histograms []*prometheus.HistogramVec
	for range 2 {
		s := quiet(t, dir)
		r := promauto.With(s.Registerer())
		stores = append(stores, s)
		counters = append(counters, r.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"l"}))
		histograms = append(histograms, r.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h"}, []string{"l"}))
	}
	count := func(n int) {
		counters[n].WithLabelValues("x").Add(5)
		for range 5 {
			histograms[n].WithLabelValues("x").Observe(1)
		}
	}
	remove := func(n int) {
		counters[n].DeleteLabelValues("x")
		histograms[n].Reset()
	}
	shows := func(what string, want map[string]float64) {
		t.Helper()
		for _, s := range stores {
			_ = s.Flush(t.Context()) // ErrClosed of a closed store
		}
		same(t, what, merged(g), want)
		same(t, what+", to a new collector", mergedOf(t, dir), want)
	}
	count(0)
	count(1)
	shows("both have the series", map[string]float64{"c_total/x": 10, "h/x": 10})
	remove(0)
	shows("the first deleted the series", map[string]float64{"c_total/x": 10, "h/x": 10})
	count(1)
	shows("the second counts on", map[string]float64{"c_total/x": 15, "h/x": 15})
	remove(1)
	shows("nobody has the series", nil)
	count(0)
	shows("the first made the series again", map[string]float64{"c_total/x": 20, "h/x": 20})
	remove(0)
	count(1)
	shows("the second made the series again", map[string]float64{"c_total/x": 25, "h/x": 25})
	if err := stores[0].Close(); err != nil {
		t.Fatal(err)
	}
	shows("the first ended", map[string]float64{"c_total/x": 25, "h/x": 25})
	if report, err := compact.Run(t.Context(), dir, compact.Opts{Logger: silent}); err != nil || report.Absorbed != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	shows("the first was absorbed", map[string]float64{"c_total/x": 25, "h/x": 25})
	remove(1)
	shows("nobody has the series any more", nil)
}

// One collector has met a former type of a family, another collector is new: both show the family
// as the process shows the family now.
func TestFamilyThatChangesItsType(t *testing.T) {
	makes := map[string]func() prometheus.Collector{
		"gauge": func() prometheus.Collector { return prometheus.NewGauge(prometheus.GaugeOpts{Name: "x", Help: "h"}) },
		"untyped": func() prometheus.Collector {
			return prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "x", Help: "h"}, func() float64 { return 4 })
		},
		"histogram": func() prometheus.Collector {
			return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", Help: "h"})
		},
		"native histogram": func() prometheus.Collector {
			return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "x", Help: "h", NativeHistogramBucketFactor: 1.1})
		},
		"summary": func() prometheus.Collector {
			return prometheus.NewSummary(prometheus.SummaryOpts{Name: "x", Help: "h"})
		},
	}
	for former := range makes {
		for now := range makes {
			dir := inMemory(t)
			s := quiet(t, dir)
			g := scraper(t, dir)
			before, after := makes[former](), makes[now]()
			s.Registerer().MustRegister(before)
			_ = s.Flush(t.Context())
			first := merged(g)
			s.Registerer().Unregister(before)
			_ = s.Flush(t.Context())
			merged(g)
			s.Registerer().MustRegister(after)
			_ = s.Flush(t.Context())
			_, shown := merged(g)["x"]
			_, shownByNew := mergedOf(t, dir)["x"]
			if _, there := first["x"]; !there || !shown || !shownByNew {
				t.Errorf("%s, then %s: shown at first: %v, by the same collector: %v, by a new collector: %v", former, now, there, shown, shownByNew)
			}
		}
	}
}
