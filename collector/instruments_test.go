package collector_test

// Each instrument and each mode of a gauge in two processes, after the cases of client_python's
// tests/test_multiprocess.py. P1 and P2 are two stores with the process labels
// "123" and "456" in one directory; a store that is closed is dead to readers.
// Dead files are not absorbed here: what holds is what is read from them.

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

func TestCounterIsSummedOverProcesses(t *testing.T) {
	dir := t.TempDir()
	o := prometheus.CounterOpts{Name: "c_total", Help: "h"}
	c1, c2 := open(t, dir, "123").NewCounter(o), open(t, dir, "456").NewCounter(o)
	r := registryOf(t, dir)
	equal(t, "before", scrape(t, r), samples{"c_total": 0})
	c1.Inc()
	c2.Add(2)
	equal(t, "after", scrape(t, r), samples{"c_total": 3})
}

func TestSummaryIsSummedOverProcesses(t *testing.T) {
	dir := t.TempDir()
	o := prometheus.SummaryOpts{Name: "s", Help: "h"}
	s1, s2 := open(t, dir, "123").NewSummary(o), open(t, dir, "456").NewSummary(o)
	r := registryOf(t, dir)
	equal(t, "before", scrape(t, r), samples{"s_count": 0, "s_sum": 0})
	s1.Observe(1)
	s2.Observe(2)
	equal(t, "after", scrape(t, r), samples{"s_count": 2, "s_sum": 3})
}

func TestHistogramIsSummedOverProcesses(t *testing.T) {
	dir := t.TempDir()
	o := prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: buckets}
	h1, h2 := open(t, dir, "123").NewHistogram(o), open(t, dir, "456").NewHistogram(o)
	r := registryOf(t, dir)
	equal(t, "before", scrape(t, r), histogramSamples("h", ""))
	h1.Observe(1)
	h2.Observe(2)
	got := scrape(t, r)
	holds(t, "as the reference has it", got, samples{"h_count": 2, "h_sum": 3, `h_bucket{le="5"}`: 2})
	equal(t, "after", got, histogramSamples("h", "", 1, 2))
}

// set is one update of a gauge.
type set struct {
	process string
	value   float64
}

// checkGauge runs one of the gauge cases: before any update, after all of
// them, and once P1 is dead.
func checkGauge(t *testing.T, mode store.MergeMode, sets []set, before, after, dead samples) {
	t.Helper()
	dir := t.TempDir()
	o := prometheus.GaugeOpts{Name: "g", Help: "h"}
	p1, p2 := open(t, dir, "123"), open(t, dir, "456")
	gauges := map[string]prometheus.Gauge{"123": p1.NewGauge(o, mode), "456": p2.NewGauge(o, mode)}
	r := registryOf(t, dir)
	equal(t, "before", scrape(t, r), before)
	for _, s := range sets {
		gauges[s.process].Set(s.value)
	}
	equal(t, "after", scrape(t, r), after)
	p1.die()
	equal(t, "with 123 dead", scrape(t, r), dead)
	equal(t, "with 123 dead, for a collector that never saw it alive", fresh(t, dir), dead)
}

var (
	oneThenTwo = []set{{"123", 1}, {"456", 2}}
	twoThenOne = []set{{"456", 2}, {"123", 1}}
)

// perProcess are the samples of a gauge that keeps one for each process.
func perProcess(p1, p2 float64) samples {
	return samples{`g{process="123"}`: p1, `g{process="456"}`: p2}
}

func TestGaugeAllKeepsTheDead(t *testing.T) {
	checkGauge(t, store.All, oneThenTwo, perProcess(0, 0), perProcess(1, 2), perProcess(1, 2))
}

func TestGaugeLiveAllDropsTheDead(t *testing.T) {
	checkGauge(t, store.LiveAll, oneThenTwo, perProcess(0, 0), perProcess(1, 2), samples{`g{process="456"}`: 2})
}

func TestGaugeMinKeepsTheDead(t *testing.T) {
	checkGauge(t, store.Min, oneThenTwo, samples{"g": 0}, samples{"g": 1}, samples{"g": 1})
}

func TestGaugeLiveMinDropsTheDead(t *testing.T) {
	checkGauge(t, store.LiveMin, oneThenTwo, samples{"g": 0}, samples{"g": 1}, samples{"g": 2})
}

func TestGaugeMaxKeepsTheDead(t *testing.T) {
	checkGauge(t, store.Max, oneThenTwo, samples{"g": 0}, samples{"g": 2}, samples{"g": 2})
}

func TestGaugeLiveMaxDropsTheDead(t *testing.T) {
	checkGauge(t, store.LiveMax, []set{{"123", 2}, {"456", 1}}, samples{"g": 0}, samples{"g": 2}, samples{"g": 1})
}

func TestGaugeSumKeepsTheDead(t *testing.T) {
	checkGauge(t, store.Sum, oneThenTwo, samples{"g": 0}, samples{"g": 3}, samples{"g": 3})
}

func TestGaugeLiveSumDropsTheDead(t *testing.T) {
	checkGauge(t, store.LiveSum, oneThenTwo, samples{"g": 0}, samples{"g": 3}, samples{"g": 2})
}

func TestGaugeMostRecentKeepsTheDead(t *testing.T) {
	checkGauge(t, store.MostRecent, twoThenOne, samples{"g": 0}, samples{"g": 1}, samples{"g": 1})
}

func TestGaugeLiveMostRecentDropsTheDead(t *testing.T) {
	checkGauge(t, store.LiveMostRecent, twoThenOne, samples{"g": 0}, samples{"g": 1}, samples{"g": 2})
}

func TestNamespaceAndSubsystemInName(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, "123").NewCounter(prometheus.CounterOpts{Namespace: "ns", Subsystem: "ss", Name: "c_total", Help: "h"}).Inc()
	equal(t, "merged", fresh(t, dir), samples{"ns_ss_c_total": 1})
}
