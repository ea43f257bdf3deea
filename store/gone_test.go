package store_test

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// vecs are one vec of each kind, with one update that gives each series 1.
type vecs struct {
	metric *prometheus.MetricVec
	update func(values ...string)
}

func everyVec(s *store.Store, labels ...string) map[string]vecs {
	c := s.NewCounterVec(prometheus.CounterOpts{Name: "counter", Help: "h"}, labels)
	h := s.NewHistogramVec(prometheus.HistogramOpts{Name: "histogram", Help: "h"}, labels)
	y := s.NewSummaryVec(prometheus.SummaryOpts{Name: "summary", Help: "h"}, labels)
	all := map[string]vecs{
		"counter":   {c.MetricVec, func(v ...string) { c.WithLabelValues(v...).Inc() }},
		"histogram": {h.MetricVec, func(v ...string) { h.WithLabelValues(v...).Observe(1) }},
		"summary":   {y.MetricVec, func(v ...string) { y.WithLabelValues(v...).Observe(1) }},
	}
	for mode := store.All; mode <= store.LiveMean; mode++ {
		name := "gauge_" + mode.String()
		g := s.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: "h"}, labels, mode)
		all[name] = vecs{g.MetricVec, func(v ...string) { g.WithLabelValues(v...).Set(1) }}
	}
	return all
}

// shown are the label values that are shown of each family that everyVec makes.
func shown(t testing.TB, dir string) map[string]string {
	t.Helper()
	got := map[string][]string{}
	for name := range mergedOf(t, dir) {
		if family, values, found := strings.Cut(name, "/"); found && !strings.HasPrefix(name, "mpmetrics_") {
			got[family] = append(got[family], strings.Split(values, "/")[0])
		}
	}
	out := map[string]string{}
	for family, values := range got {
		for _, v := range []string{"a", "b", "c"} {
			if strings.Contains(strings.Join(values, ""), v) {
				out[family] += v
			}
		}
	}
	return out
}

// A series that is deleted from its vec leaves the merged output.
func TestDeletedSeriesLeave(t *testing.T) {
	store.SetTickFor(t, 2*time.Millisecond)
	for name, remove := range map[string]func(*prometheus.MetricVec){
		"DeleteLabelValues":  func(v *prometheus.MetricVec) { v.DeleteLabelValues("b", "x") },
		"Delete":             func(v *prometheus.MetricVec) { v.Delete(prometheus.Labels{"l": "b", "m": "x"}) },
		"DeletePartialMatch": func(v *prometheus.MetricVec) { v.DeletePartialMatch(prometheus.Labels{"l": "b"}) },
		"Reset":              func(v *prometheus.MetricVec) { v.Reset() },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, store.Opts{Location: dir})
			before, after := map[string]string{}, map[string]string{}
			// "process" would stand behind "m": the first label tells them apart.
			all := everyVec(s, "l", "m")
			for family, v := range all {
				for _, l := range []string{"a", "b", "c"} {
					v.update(l, "x")
				}
				before[family] = "abc"
				if after[family] = "ac"; name == "Reset" {
					delete(after, family)
				}
			}
			if diff := cmp.Diff(before, shown(t, dir)); diff != "" {
				t.Errorf("before (-want +got):\n%s", diff)
			}
			for _, v := range all {
				remove(v.metric)
			}
			promtest.Eventually(t, "they left", func() bool { return cmp.Equal(after, shown(t, dir)) })
		})
	}
}

// A process that ends right after it has deleted leaves nothing of it.
func TestDeletedBeforeClose(t *testing.T) {
	store.SetTickFor(t, time.Hour)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	vec.WithLabelValues("x").Inc()
	vec.WithLabelValues("y").Inc()
	vec.DeleteLabelValues("x")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]float64{"c_total/y": 1}, series(mergedOf(t, dir))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// series are the samples that have a label.
func series(all map[string]float64) map[string]float64 {
	out := map[string]float64{}
	for name, v := range all {
		if strings.Contains(name, "/") && !strings.HasPrefix(name, "mpmetrics_") {
			out[name] = v
		}
	}
	return out
}

// started is the start timestamp of the only counter with a label.
func started(t testing.TB, dir string) time.Time {
	t.Helper()
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)})
	defer c.Close()
	families, err := registry(c).Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "c_total" {
			return f.Metric[0].Counter.CreatedTimestamp.AsTime()
		}
	}
	t.Fatal("no counter")
	return time.Time{}
}

// A cumulative series that is made again goes on at once, also before the background work has
// noticed that the series was deleted. A gauge is new.
func TestMadeAgain(t *testing.T) {
	store.SetTickFor(t, time.Hour)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir})
	for family, v := range everyVec(s, "l") {
		t.Run(family, func(t *testing.T) {
			for n := range 4 {
				v.update("a")
				want := float64(n + 1)
				if strings.HasPrefix(family, "gauge") {
					want = 1
				}
				if got := mergedLabel(t, dir, family+"/a"); got != want {
					t.Errorf("made %d times: got %v, want %v", n+1, got, want)
				}
				v.metric.DeleteLabelValues("a")
			}
		})
	}
}

// In its own process an instrument that is made again starts at zero, as in client_golang.
func TestMadeAgainInItsProcess(t *testing.T) {
	s := open(t, store.Opts{Location: t.TempDir()})
	counters := s.NewCounterVec(counterOpts, []string{"a"})
	histograms := s.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 2}}, []string{"a"})
	summaries := s.NewSummaryVec(prometheus.SummaryOpts{Name: "s", Help: "h"}, []string{"a"})
	count := func(n int) {
		counters.WithLabelValues("x").Add(float64(n) + 0.5)
		for range n {
			histograms.WithLabelValues("x").Observe(1.5)
			summaries.WithLabelValues("x").Observe(1.5)
		}
	}
	local := registry(s)
	for n := range 3 {
		count(n + 1)
		families, err := local.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			m := f.Metric[0]
			switch f.GetName() {
			case "c_total":
				if got := m.Counter.GetValue(); got != float64(n)+1.5 {
					t.Errorf("round %d: counter %v", n, got)
				}
			case "h":
				h := m.Histogram
				if h.GetSampleCount() != uint64(n+1) || h.GetSampleSum() != 1.5*float64(n+1) || h.Bucket[0].GetCumulativeCount() != 0 || h.Bucket[1].GetCumulativeCount() != uint64(n+1) {
					t.Errorf("round %d: histogram %v", n, h)
				}
			case "s":
				if m.Summary.GetSampleCount() != uint64(n+1) || m.Summary.GetSampleSum() != 1.5*float64(n+1) {
					t.Errorf("round %d: summary %v", n, m.Summary)
				}
			}
		}
		counters.Reset()
		histograms.Reset()
		summaries.Reset()
	}
}

// mergedLabel is the value of the sample whose name begins so; a label "process" may
// follow.
func mergedLabel(t testing.TB, dir, prefix string) float64 {
	t.Helper()
	var values []float64
	for name, v := range mergedOf(t, dir) {
		if strings.HasPrefix(name, prefix) {
			values = append(values, v)
		}
	}
	if len(values) != 1 {
		t.Fatalf("%s: %v, want one value", prefix, values)
	}
	return values[0]
}

// The start timestamp of a series that goes on is that of the first.
func TestMadeAgainStartTimestamp(t *testing.T) {
	store.SetTickFor(t, time.Hour)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	vec.WithLabelValues("x").Inc()
	first := started(t, dir)
	vec.Reset()
	vec.WithLabelValues("x").Inc()
	if got := started(t, dir); !got.Equal(first) {
		t.Errorf("start timestamp %v, before %v", got, first)
	}
}

// What a process counted for a series that it deleted stays in the total while another process has
// the series, also after the first has ended. What nobody has leaves.
func TestDeletedShare(t *testing.T) {
	store.SetTickFor(t, 2*time.Millisecond)
	dir := t.TempDir()
	g := scraper(t, dir)
	var stores []*store.Store
	var vecs []map[string]vecs
	for range 2 {
		s := open(t, store.Opts{Location: dir, NoAbsorption: true})
		stores, vecs = append(stores, s), append(vecs, everyVec(s, "l"))
	}
	cumulative := []string{"counter", "histogram", "summary"}
	shows := func(what string, want float64) {
		t.Helper()
		promtest.Eventually(t, what, func() bool {
			for _, all := range []map[string]float64{merged(g), mergedOf(t, dir)} {
				for _, f := range cumulative {
					if got, there := all[f+"/x"]; got != want || there != (want > 0) {
						return false
					}
				}
			}
			return true
		})
	}
	update := func(n, times int) {
		for range times {
			for _, f := range cumulative {
				vecs[n][f].update("x")
			}
		}
	}
	remove := func(n int) {
		for _, f := range cumulative {
			vecs[n][f].metric.DeleteLabelValues("x")
		}
		promtest.Eventually(t, "the deletion is noticed", func() bool { return stores[n].Series() == 0 })
	}
	update(0, 5)
	update(1, 3)
	shows("both have the series", 8)
	remove(0)
	shows("the first deleted the series", 8)
	update(1, 1)
	shows("the second counts on", 9)
	remove(1)
	shows("nobody has the series", 0)
	update(0, 1)
	shows("the first made the series again", 10)
	remove(0)
	update(1, 1)
	shows("the second made the series again", 11)
	if err := stores[0].Close(); err != nil {
		t.Fatal(err)
	}
	shows("the first ended", 11)
	if report, err := compact.Run(t.Context(), dir, compact.Opts{Logger: silent}); err != nil || report.Absorbed != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	shows("the first was absorbed", 11)
	remove(1)
	shows("nobody has the series any more", 0)
}

// All series of a vec that are deleted at once stay in the totals of another process, also if the log
// has no room for all records at once.
func TestManyDeletedAtOnce(t *testing.T) {
	store.SetTickFor(t, 2*time.Millisecond)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	other := open(t, store.Opts{Location: dir}).NewCounterVec(counterOpts, []string{"a"})
	const all = 900
	for i := range all {
		vec.WithLabelValues(strconv.Itoa(i)).Inc()
		other.WithLabelValues(strconv.Itoa(i)).Inc()
	}
	vec.WithLabelValues("mine").Inc()
	vec.Reset()
	promtest.Eventually(t, "all deletions are noticed", func() bool {
		got := series(mergedOf(t, dir))
		for _, v := range got {
			if v != 2 && len(got) == all {
				t.Fatalf("a total of %v, want 2", v)
			}
		}
		return len(got) == all
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := series(mergedOf(t, dir)); len(got) != all || got["c_total/7"] != 2 {
		t.Errorf("after Close %d series and a total of %v, want %d and 2", len(got), got["c_total/7"], all)
	}
}

// Shares are bounded: beyond the bound the oldest leaves, and its cells are used again.
func TestSharesAreBounded(t *testing.T) {
	store.SetTickFor(t, 2*time.Millisecond)
	clock := newClock(t)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir})
	s.MostShares(10)
	other := open(t, store.Opts{Location: dir}).NewCounterVec(counterOpts, []string{"a"})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	const all = 50
	for i := range all {
		l := strconv.Itoa(i)
		other.WithLabelValues(l).Inc()
		vec.WithLabelValues(l).Inc()
		vec.DeleteLabelValues(l)
		if i%10 == 9 {
			promtest.Eventually(t, "the deletion is noticed", func() bool { return s.Series() == 0 })
		}
	}
	total := 0.0
	for _, v := range series(mergedOf(t, dir)) {
		total += v
	}
	if total != all+10 {
		t.Errorf("%v counts, want %d of the other process and 10 of shares", total, all)
	}
	promtest.Eventually(t, "the cells of the others are free", func() bool {
		runtime.GC()
		clock.forward(time.Hour)
		return s.FreeRuns() == all-10
	})
	for i := range all {
		vec.WithLabelValues(strconv.Itoa(i)).Inc()
	}
	if got := s.FreeRuns(); got != 0 {
		t.Errorf("%d runs of cells are free, want none: 10 of the series took over theirs", got)
	}
	total = 0
	for _, v := range series(mergedOf(t, dir)) {
		total += v
	}
	if total != 2*all+10 {
		t.Errorf("%v counts after all were made again, want %d", total, 2*all+10)
	}
}

// Shares move into a new file, and stay hidden there.
func TestSharesInANewFile(t *testing.T) {
	store.SetTickFor(t, 2*time.Millisecond)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	other := open(t, store.Opts{Location: dir}).NewCounterVec(counterOpts, []string{"a"})
	for _, l := range []string{"x", "y", "z"} {
		vec.WithLabelValues(l).Add(5)
	}
	other.WithLabelValues("x").Add(1)
	vec.DeleteLabelValues("x")
	vec.DeleteLabelValues("y")
	promtest.Eventually(t, "the deletion is noticed", func() bool { return s.Series() == 1 })
	want := map[string]float64{"c_total/x": 6, "c_total/z": 5}
	if diff := cmp.Diff(want, series(mergedOf(t, dir))); diff != "" {
		t.Errorf("before (-want +got):\n%s", diff)
	}
	if err := os.Remove(s.Path()); err != nil {
		t.Fatal(err)
	}
	promtest.Eventually(t, "a new file", func() bool { return len(files(dir)) == 2 })
	if diff := cmp.Diff(want, series(mergedOf(t, dir))); diff != "" {
		t.Errorf("in the new file (-want +got):\n%s", diff)
	}
	vec.WithLabelValues("y").Inc()
	want["c_total/y"] = 6
	if diff := cmp.Diff(want, series(mergedOf(t, dir))); diff != "" {
		t.Errorf("made again (-want +got):\n%s", diff)
	}
}

// fakeClock is a clock that the test moves on.
type fakeClock struct{ offset atomic.Int64 }

func newClock(t testing.TB) *fakeClock {
	c := &fakeClock{}
	store.SetClock(t, func() time.Time { return time.Now().Add(time.Duration(c.offset.Load())) })
	return c
}

func (c *fakeClock) forward(d time.Duration) { c.offset.Add(int64(d)) }

// Whoever still holds a deleted series counts where nobody looks, and never into a
// series that was made later.
func TestHeldOverDeletion(t *testing.T) {
	store.SetTickFor(t, time.Millisecond)
	clock := newClock(t)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir})
	s.NoShares()
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	const n = 100
	held := vec.WithLabelValues("held")
	for i := range n {
		vec.WithLabelValues(strconv.Itoa(i))
	}
	vec.Reset()
	promtest.Eventually(t, "they left", func() bool { return len(series(mergedOf(t, dir))) == 0 })
	promtest.Eventually(t, "cells are free", func() bool {
		runtime.GC()
		clock.forward(time.Hour)
		return s.FreeRuns() == n
	})
	for i := range 2 * n {
		vec.WithLabelValues("new-" + strconv.Itoa(i))
		held.Inc()
	}
	if got := s.FreeRuns(); got != 0 {
		t.Errorf("%d free runs were not used", got)
	}
	for name, v := range series(mergedOf(t, dir)) {
		if v != 0 {
			t.Errorf("%s is %v", name, v)
		}
	}
	runtime.KeepAlive(held)
	promtest.Eventually(t, "the cells of what was held are free", func() bool {
		runtime.GC()
		clock.forward(time.Hour)
		return s.FreeRuns() == 1
	})
}

// An exemplar keeps neither a deleted series nor its cells, and leaves with it; also
// one of an instrument that is still held, and has its first exemplar afterwards.
func TestDeletedWithExemplars(t *testing.T) {
	store.SetTickFor(t, 2*time.Millisecond)
	clock := newClock(t)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir, FlushInterval: 2 * time.Millisecond})
	s.NoShares()
	counters := s.NewCounterVec(counterOpts, []string{"a"})
	histograms := s.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h"}, []string{"a"})
	trace := prometheus.Labels{"trace": "t"}
	counters.WithLabelValues("x").(prometheus.ExemplarAdder).AddWithExemplar(1, trace)
	histograms.WithLabelValues("x").(prometheus.ExemplarObserver).ObserveWithExemplar(1, trace)
	promtest.Eventually(t, "both exemplars are shown", func() bool { return len(exemplarsOf(t, dir)) == 2 })
	held := counters.WithLabelValues("late").(prometheus.ExemplarAdder)
	counters.Reset()
	histograms.Reset()
	promtest.Eventually(t, "the series left", func() bool { return len(series(mergedOf(t, dir))) == 0 })
	held.AddWithExemplar(1, trace)
	counters.WithLabelValues("x")
	counters.WithLabelValues("late")
	promtest.Eventually(t, "their exemplars left too", func() bool { return len(exemplarsOf(t, dir)) == 0 })
	promtest.Eventually(t, "cells are free", func() bool {
		runtime.GC()
		clock.forward(time.Hour)
		return s.FreeRuns() == 3
	})
	if got := exemplarsOf(t, dir); len(got) != 0 {
		t.Errorf("made again: exemplars %v", got)
	}
}

// Without a directory a series is gone at once, and begins anew.
func TestDeletedWithoutDirectory(t *testing.T) {
	s := open(t, store.Opts{Location: "memory:"})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	c := collector.New(collector.Opts{Store: s})
	defer c.Close()
	r := registry(c)
	shows := func(what string, want map[string]float64) {
		t.Helper()
		if diff := cmp.Diff(want, series(merged(r))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	held := vec.WithLabelValues("x")
	held.Add(2)
	vec.WithLabelValues("y").Inc()
	shows("before", map[string]float64{"c_total/x": 2, "c_total/y": 1})
	vec.DeleteLabelValues("x")
	held.Inc()
	shows("deleted", map[string]float64{"c_total/y": 1})
	vec.WithLabelValues("x").Inc()
	shows("made again", map[string]float64{"c_total/x": 1, "c_total/y": 1})
}

// Series come and go: nobody ever sees a value of another series, and the file stays
// small. Each value says whose it is.
func TestDeletionChurn(t *testing.T) {
	most := effort.Rounds(5000, 35_000, 2_000_000) // in each of three vecs: 100,000 series
	t.Run("without shares", func(t *testing.T) { churn(t, most, (*store.Store).NoShares) })
	t.Run("with shares", func(t *testing.T) { churn(t, max(3000, most/10), func(*store.Store) {}) })
}

func churn(t *testing.T, most int, change func(*store.Store)) {
	store.SetTickFor(t, time.Millisecond)
	clock := newClock(t)
	dir := inMemory(t)
	s := open(t, store.Opts{Location: dir})
	change(s)
	counters := s.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"n"})
	gauges := s.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, []string{"n"})
	values := s.NewSummaryVec(prometheus.SummaryOpts{Name: "s", Help: "h"}, []string{"n"})
	done := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() {
		c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)})
		defer c.Close()
		r := registry(c)
		scrapes := 0
		for ended := false; !ended; scrapes++ {
			select {
			case <-done:
				ended = true
			default:
			}
			families, err := r.Gather()
			if err != nil {
				t.Error(err)
				return
			}
			for _, f := range families {
				if strings.HasPrefix(f.GetName(), "mpmetrics_") {
					continue
				}
				for _, m := range f.Metric {
					v := valueOf(m)
					if m.Summary != nil {
						v = m.Summary.GetSampleSum()
					}
					if n := m.Label[0].GetValue(); v != 0 && fmt.Sprint(int(v)) != n {
						t.Errorf("%s of %s is %v", f.GetName(), n, v)
						return
					}
				}
			}
		}
		t.Logf("%d scrapes", scrapes)
	})
	const living = 200
	for n := 1; n <= most; n++ {
		l := strconv.Itoa(n)
		counters.WithLabelValues(l).Add(float64(n))
		gauges.WithLabelValues(l).Set(float64(n))
		values.WithLabelValues(l).Observe(float64(n))
		if n > living {
			old := strconv.Itoa(n - living)
			counters.DeleteLabelValues(old)
			gauges.DeleteLabelValues(old)
			values.DeleteLabelValues(old)
		}
		if n%1000 == 0 {
			clock.forward(15 * time.Second)
			promtest.Eventually(t, "what was deleted has left", func() bool { return s.Series() <= 4*living })
		}
	}
	close(done)
	readers.Wait()
	st, err := os.Stat(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	const small = 8 << 20
	if st.Size() > small || s.Generation() == 0 {
		t.Errorf("the file has more than %d bytes, or its log was never written anew", small)
	}
	t.Logf("the file has %d bytes, its log generation %d, %d series", st.Size(), s.Generation(), s.Series())
}

// A series that is deleted gives its place below the limit back.
func TestMaxSeriesGivenBack(t *testing.T) {
	store.SetTickFor(t, 2*time.Millisecond)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir, MaxSeries: 10})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	for round := range 5 {
		for i := range 20 {
			vec.WithLabelValues(fmt.Sprintf("%d-%d", round, i)).Inc()
		}
		if got, want := len(series(mergedOf(t, dir))), 10; got != want {
			t.Errorf("round %d: %d published, want %d", round, got, want)
		}
		vec.Reset()
		promtest.Eventually(t, "all have left", func() bool { return s.Series() == 0 })
	}
	// Made again, at once.
	for range 100 {
		vec.WithLabelValues("x").Inc()
		vec.DeleteLabelValues("x")
	}
	vec.WithLabelValues("x").Inc()
	if got, want := mergedOf(t, dir)["c_total/x"], 101.0; got != want {
		t.Errorf("made again: got %v, want %v", got, want)
	}
}

// What was deleted does not come back with a new file, and cells are free there too.
func TestRenewalAfterDeletion(t *testing.T) {
	store.SetTickFor(t, 2*time.Millisecond)
	clock := newClock(t)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir})
	s.NoShares()
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	for i := range 10 {
		vec.WithLabelValues(strconv.Itoa(i)).Inc()
	}
	held := vec.WithLabelValues("3")
	for i := range 5 {
		vec.DeleteLabelValues(strconv.Itoa(i))
	}
	if err := os.Remove(files(dir)[0]); err != nil {
		t.Fatal(err)
	}
	vec.DeleteLabelValues("5") // noticed by the sweep, before or after the move
	vec.DeleteLabelValues("6")
	vec.WithLabelValues("6").Add(7)
	held.Add(100)
	want := map[string]float64{"c_total/6": 8, "c_total/7": 1, "c_total/8": 1, "c_total/9": 1}
	promtest.Eventually(t, "the living are in a new file", func() bool { return cmp.Equal(want, series(mergedOf(t, dir))) })
	vec.Reset()
	promtest.Eventually(t, "the rest left", func() bool { return len(series(mergedOf(t, dir))) == 0 })
	promtest.Eventually(t, "cells are free", func() bool {
		runtime.GC()
		clock.forward(time.Hour)
		return s.FreeRuns() >= 4
	})
	held.Add(100)
	for i := range 5 {
		vec.WithLabelValues(strconv.Itoa(i)).Add(2)
	}
	for name, v := range series(mergedOf(t, dir)) {
		if v != 2 {
			t.Errorf("%s is %v", name, v)
		}
	}
}

// A series that still waits for room when a sweep finds the series deleted goes on when it is made
// again, before and after the series got its room.
func TestDeletedWhileWaiting(t *testing.T) {
	for name, again := range map[string]bool{"made again while waiting": true, "made again when published": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := store.OpenIdle(store.Opts{Location: dir})
			if err != nil {
				t.Fatal(err)
			}
			counter := s.NewCounterVec(counterOpts, []string{"a"})
			histogram := s.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h"}, []string{"a"})
			gauge := s.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, []string{"a"}, store.Sum)
			for i := 0; s.Pending() < 3; i++ { // the log has no room, and nothing makes room
				l := strings.Repeat("x", 10_000) + strconv.Itoa(i)
				counter.WithLabelValues(l).Inc()
			}
			update := func() {
				counter.WithLabelValues(waiting).Inc()
				histogram.WithLabelValues(waiting).Observe(1)
				gauge.WithLabelValues(waiting).Inc()
			}
			remove := func() {
				counter.DeleteLabelValues(waiting)
				histogram.DeleteLabelValues(waiting)
				gauge.DeleteLabelValues(waiting)
				s.Sweep()
			}
			update()
			remove()
			if again {
				update()
				remove()
			} else {
				if err := s.Flush(t.Context()); err != nil || s.Pending() > 0 {
					t.Fatalf("%d series wait: %v", s.Pending(), err)
				}
				if got := mergedOf(t, dir)["c_total/"+waiting]; got != 0 {
					t.Errorf("a share that no other process has is shown as %v", got)
				}
			}
			update()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			want := 2.0
			if again {
				want = 3
			}
			got := mergedOf(t, dir)
			for family, want := range map[string]float64{"c_total/": want, "h/": want, "g/": 1} {
				if got := got[family+waiting]; got != want {
					t.Errorf("%s is %v, want %v", family, got, want)
				}
			}
		})
	}
}

// waiting is a label value that has no room beside many others like it.
var waiting = strings.Repeat("w", 20_000)

// What never was in a file just leaves.
func TestDeletedInMemory(t *testing.T) {
	store.SetTickFor(t, 2*time.Millisecond)
	dir := t.TempDir()
	s := open(t, store.Opts{Location: dir})
	vec := s.NewCounterVec(counterOpts, []string{"a"})
	// The log has no room for these at once.
	for i := range 50 {
		l := strings.Repeat("x", 10_000) + strconv.Itoa(i)
		vec.WithLabelValues(l).Inc()
		vec.DeleteLabelValues(l)
		vec.WithLabelValues(l).Add(2)
		if i%2 == 0 {
			vec.DeleteLabelValues(l)
		}
	}
	promtest.Eventually(t, "half are published", func() bool {
		got := series(mergedOf(t, dir))
		for _, v := range got {
			if v != 3 { // what was made again goes on
				t.Fatalf("a value of %v", v)
			}
		}
		return len(got) == 25 && s.Pending() == 0
	})
	memory := open(t, store.Opts{Location: "memory:"}).NewCounterVec(counterOpts, []string{"a"})
	memory.WithLabelValues("x").Inc()
	memory.Reset()
	memory.WithLabelValues("x").Inc()
}
