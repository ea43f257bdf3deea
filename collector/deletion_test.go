package collector_test

// More of what a deletion in one process of several leaves. Processes are as in the
// other cases; here the dead are absorbed, too.

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// shows waits until a scrape has these samples, and checks that a new collector has
// the same. Nothing is absorbed by it.
func shows(t *testing.T, dir string, g prometheus.Gatherer, want samples) {
	t.Helper()
	eventually(t, func() bool { return cmp.Equal(scrape(t, g), want) })
	equal(t, "for a new collector", scrape(t, registryWith(t, collector.Opts{Location: dir, NoAbsorption: true})), want)
}

// Of a gauge, whatever the mode, what is left is what the other process alone would show. What was
// counted stays while the other process has the series.
func TestDeletionOfEveryKind(t *testing.T) {
	bothOrders(t, func(t *testing.T, dir, older, newer string) {
		type vecs struct {
			counter   *prometheus.CounterVec
			histogram *prometheus.HistogramVec
			all       []*prometheus.MetricVec
		}
		fill := func(name string, n float64) (v vecs) {
			s, labels := open(t, dir, name), []string{"l"}
			v.counter = s.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, labels)
			v.histogram = s.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: buckets}, labels)
			v.counter.WithLabelValues("x").Add(n)
			v.histogram.WithLabelValues("x").Observe(n)
			v.all = append(v.all, v.counter.MetricVec, v.histogram.MetricVec)
			for name, mode := range map[string]store.MergeMode{"livesum": store.LiveSum, "max": store.Max, "min": store.Min, "all": store.LiveAll} {
				g := s.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: "h"}, labels, mode)
				g.WithLabelValues("x").Set(n)
				v.all = append(v.all, g.MetricVec)
			}
			return v
		}
		first, second := fill(older, 5), fill(newer, 3)
		r := registryOf(t, dir)
		gauges := func(sum, high, low float64) samples {
			return samples{`livesum{l="x"}`: sum, `max{l="x"}`: high, `min{l="x"}`: low}
		}
		mine, theirs := `all{l="x",process="`+older+`"}`, `all{l="x",process="`+newer+`"}`
		equal(t, "before", scrape(t, r), join(gauges(8, 5, 3), histogramSamples("h", `{l="x"}`, 5, 3),
			samples{`c_total{l="x"}`: 8, mine: 5, theirs: 3}))
		for _, v := range first.all {
			v.DeleteLabelValues("x")
		}
		left := join(gauges(3, 3, 3), histogramSamples("h", `{l="x"}`, 5, 3), samples{`c_total{l="x"}`: 8, theirs: 3})
		shows(t, dir, r, left)

		first.counter.WithLabelValues("x").Inc()
		again := maps.Clone(left)
		again[`c_total{l="x"}`] = 9
		equal(t, "made again", scrape(t, r), again)
		for _, v := range append(first.all, second.all...) {
			v.DeletePartialMatch(prometheus.Labels{"l": "x"})
		}
		shows(t, dir, r, samples{})
	})
}

// What dead processes have counted of a series stays, absorbed or not, whoever
// deletes it afterwards. What a process had deleted itself before it died does not
// come back.
func TestDeletionAndTheDead(t *testing.T) {
	dir := t.TempDir()
	o := prometheus.CounterOpts{Name: "c_total", Help: "h"}
	dead, living := open(t, dir, "123"), open(t, dir, "456")
	theirs, ours := dead.NewCounterVec(o, []string{"l"}), living.NewCounterVec(o, []string{"l"})
	theirs.WithLabelValues("x").Add(5)
	theirs.WithLabelValues("y").Add(7)
	ours.WithLabelValues("x").Add(3)
	theirs.DeleteLabelValues("y")
	dead.die()
	r := registryWith(t, collector.Opts{Location: dir, NoAbsorption: true})
	equal(t, "before", scrape(t, r), samples{`c_total{l="x"}`: 8})
	ours.Reset()
	shows(t, dir, r, samples{`c_total{l="x"}`: 8})
	if _, err := compact.Run(t.Context(), dir, compact.Opts{}); err != nil {
		t.Fatal(err)
	}
	shows(t, dir, r, samples{`c_total{l="x"}`: 8})
	ours.WithLabelValues("x").Inc()
	equal(t, "made again", scrape(t, r), samples{`c_total{l="x"}`: 9})
}

// What was counted stays with its start timestamp, also when it is made again.
func TestDeletionAndStartTimestamp(t *testing.T) {
	dir := t.TempDir()
	o := prometheus.CounterOpts{Name: "c_total", Help: "h"}
	first := open(t, dir, "123").NewCounterVec(o, []string{"l"})
	first.WithLabelValues("x").Inc()
	between := time.Now()
	second := open(t, dir, "456").NewCounterVec(o, []string{"l"})
	second.WithLabelValues("x").Inc()
	r := registryOf(t, dir)
	began := func() (at time.Time) {
		t.Helper()
		for _, f := range promtest.Gather(t, r) {
			if f.GetName() == "c_total" {
				at = createdOf(f.Metric[0])
			}
		}
		return at
	}
	if got := began(); !got.Before(between) {
		t.Errorf("of both: got %v, want that of the first, before %v", got, between)
	}
	first.Reset()
	shows(t, dir, r, samples{`c_total{l="x"}`: 2})
	if got := began(); !got.Before(between) {
		t.Errorf("the first has deleted the series: got %v, want before %v", got, between)
	}
	second.Reset()
	shows(t, dir, r, samples{})
	first.WithLabelValues("x").Inc()
	shows(t, dir, r, samples{`c_total{l="x"}`: 3})
	if got := began(); !got.Before(between) {
		t.Errorf("made again: got %v, want before %v", got, between)
	}
}
