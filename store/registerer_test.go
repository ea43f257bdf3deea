package store_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

var silent = slog.New(slog.DiscardHandler)

// quiet opens a store that flushes only when it is told to.
func quiet(t testing.TB, dir string, change ...func(*store.Opts)) *store.Store {
	t.Helper()
	o := store.Opts{Location: dir, NoAbsorption: true, FlushInterval: time.Hour, Logger: silent}
	for _, c := range change {
		c(&o)
	}
	return open(t, o)
}

// own returns what is not about mpmetrics.
func own(all map[string]float64) map[string]float64 {
	out := maps.Clone(all)
	maps.DeleteFunc(out, func(name string, _ float64) bool { return strings.HasPrefix(name, "mpmetrics_") })
	return out
}

func same(t testing.TB, what string, got, want map[string]float64) {
	t.Helper()
	if diff := cmp.Diff(want, own(got), cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// What one process registers is in the scrape of another, merged.
func TestRegistererMerges(t *testing.T) {
	dir := inMemory(t)
	var stores []*store.Store
	for n := range 2 {
		s := quiet(t, dir)
		stores = append(stores, s)
		auto := promauto.With(prometheus.WrapRegistererWith(prometheus.Labels{"zone": "z"}, prometheus.WrapRegistererWithPrefix("app_", s.Registerer())))
		auto.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Add(1.5)
		auto.NewCounterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, []string{"l"}).WithLabelValues("x").Inc()
		auto.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}).Set(float64(n + 1))
		auto.NewGauge(prometheus.GaugeOpts{Name: "last_timestamp_seconds", Help: "h"}).Set(float64(n + 1))
		auto.NewGauge(prometheus.GaugeOpts{Name: "fill_ratio", Help: "h"}).Set(float64(n))
		auto.NewUntypedFunc(prometheus.UntypedOpts{Name: "u", Help: "h"}, func() float64 { return 2 })
		auto.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 2}}).Observe(1.5)
		auto.NewSummary(prometheus.SummaryOpts{Name: "s", Help: "h", Objectives: map[float64]float64{0.5: 0.1}}).Observe(3)
		_ = s.Flush(context.Background())
	}
	want := map[string]float64{
		"app_c_total/z": 3, "app_v_total/x/z": 2, "app_g/z": 3, "app_last_timestamp_seconds/z": 2, "app_fill_ratio/z": 0.5,
		"app_u/z": 4, "app_h/z": 2, "app_s/z": 2,
	}
	same(t, "both live", mergedOf(t, dir), want)
	if err := stores[0].Close(); err != nil {
		t.Fatal(err)
	}
	maps.Copy(want, map[string]float64{"app_g/z": 2, "app_fill_ratio/z": 1, "app_u/z": 2})
	same(t, "one dead", mergedOf(t, dir), want)
}

// A registry that is mirrored by one process looks as it would without.
func TestRegistererEqualsRegistry(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	direct := prometheus.NewRegistry()
	fill := func(r prometheus.Registerer) {
		a := promauto.With(r)
		a.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "Zwei\nZeilen", ConstLabels: prometheus.Labels{"k": "v"}}).Add(1 << 40)
		v := a.NewGaugeVec(prometheus.GaugeOpts{Name: "größe", Help: "h", Unit: "bytes"}, []string{"b", "a"})
		v.WithLabelValues("1", "x\"y").Set(-1.5)
		v.WithLabelValues("2", "").Set(0)
		h := a.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h"}, []string{"l"})
		h.WithLabelValues("x").Observe(0.3)
		h.WithLabelValues("y")
		a.NewSummary(prometheus.SummaryOpts{Name: "s", Help: "h"}).Observe(-3)
		a.NewUntypedFunc(prometheus.UntypedOpts{Name: "u", Help: ""}, func() float64 { return 7 })
		r.MustRegister(constant{})
	}
	fill(direct)
	fill(s.Registerer())
	want, err := direct.Gather()
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Flush(context.Background())
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	got, err := registry(c).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var ours []*dto.MetricFamily
	for _, f := range got {
		if !strings.HasPrefix(f.GetName(), "mpmetrics_") {
			ours = append(ours, f)
		}
	}
	if diff := cmp.Diff(want, ours, cmp.Comparer(func(a, b *dto.MetricFamily) bool {
		return withoutTimes(a) == withoutTimes(b)
	})); diff != "" {
		t.Errorf("(-direct +mirrored):\n%s", diff)
	}
}

// withoutTimes is the text of a family without its start timestamps, which differ
// between two of them.
func withoutTimes(f *dto.MetricFamily) string {
	for _, m := range f.Metric {
		if m.Counter != nil {
			m.Counter.CreatedTimestamp = nil
		}
		if m.Histogram != nil {
			m.Histogram.CreatedTimestamp = nil
		}
		if m.Summary != nil {
			m.Summary.CreatedTimestamp = nil
		}
	}
	return f.String()
}

// constant is an unchecked collector of metrics without start timestamps, whose
// label names differ.
type constant struct{}

func (constant) Describe(chan<- *prometheus.Desc) {}

func (constant) Collect(ch chan<- prometheus.Metric) {
	for _, label := range []string{"one", "other"} {
		d := prometheus.NewDesc("const_total", "h", []string{label}, nil)
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, 0.25, "x")
	}
}

func TestRegistererModes(t *testing.T) {
	dir := inMemory(t)
	for n := range 2 {
		s := quiet(t, dir, func(o *store.Opts) {
			o.Process = string(rune('a' + n))
			o.Modes = map[string]store.MergeMode{
				"server_*": store.Max, "server_private_*": store.Omit, "go_goroutines": store.LiveAll, "*_bytes": store.Min, "x_bytes": store.Max,
				"h": store.Max,
			}
		})
		a := promauto.With(s.Registerer())
		a.NewCounter(prometheus.CounterOpts{Name: "server_requests_total", Help: "h"}).Add(float64(10 + n))
		a.NewCounter(prometheus.CounterOpts{Name: "server_private_total", Help: "h"}).Add(1)
		a.NewGauge(prometheus.GaugeOpts{Name: "go_goroutines", Help: "h"}).Set(float64(n))
		a.NewGauge(prometheus.GaugeOpts{Name: "y_bytes", Help: "h"}).Set(float64(n))
		a.NewGauge(prometheus.GaugeOpts{Name: "x_bytes", Help: "h"}).Set(float64(n))
		a.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h"}).Observe(1)
		_ = s.Flush(context.Background())
	}
	got := mergedOf(t, dir)
	same(t, "merged", got, map[string]float64{
		"server_requests_total": 11, "go_goroutines/a": 0, "go_goroutines/b": 1, "y_bytes": 0, "x_bytes": 1, "h": 2,
	})
	if n := got["mpmetrics_unmirrored_total/mode"]; n != 2 {
		t.Errorf("a histogram with a mode counts %v times as not mirrored so, want 2", n)
	}
	for _, modes := range []map[string]store.MergeMode{{"[": store.Max}, {"a": store.MostRecent}, {"a": 77}} {
		if s, err := store.Open(store.Opts{Location: dir, Modes: modes}); err == nil {
			s.Close()
			t.Errorf("%v was accepted", modes)
		}
	}
}

func TestRegistererRefuses(t *testing.T) {
	s := quiet(t, inMemory(t))
	r := s.Registerer()
	one := prometheus.NewCounter(prometheus.CounterOpts{Name: "one_total", Help: "h"})
	r.MustRegister(one)
	var already prometheus.AlreadyRegisteredError
	again := prometheus.NewCounter(prometheus.CounterOpts{Name: "one_total", Help: "h"})
	if err := r.Register(again); !errors.As(err, &already) || already.ExistingCollector != prometheus.Collector(one) {
		t.Errorf("twice: %v, want the one that is there", err)
	}
	s.NewCounter(prometheus.CounterOpts{Name: "ours_total", Help: "h"})
	if err := r.Register(prometheus.NewCounter(prometheus.CounterOpts{Name: "ours_total", Help: "h"})); !errors.As(err, &already) {
		t.Errorf("a name of an instrument: %v", err)
	}
	c := collector.New(collector.Opts{Store: s, NoAbsorption: true, Logger: silent})
	defer c.Close()
	sidecar := collector.New(collector.Opts{Location: s.Location(), NoAbsorption: true, Logger: silent})
	defer sidecar.Close()
	for name, into := range map[string]prometheus.Registerer{
		"plain": r, "with labels": prometheus.WrapRegistererWith(prometheus.Labels{"a": "b"}, r),
		"with a prefix": prometheus.WrapRegistererWithPrefix("p_", prometheus.WrapRegistererWith(prometheus.Labels{"a": "b"}, r)),
	} {
		for _, ours := range []prometheus.Collector{c, sidecar, s} {
			if err := into.Register(ours); err == nil || !strings.Contains(err.Error(), "its own output") {
				t.Errorf("%s: %T in a Registerer of ours: %v", name, ours, err)
			}
		}
	}
	if !r.Unregister(one) || r.Unregister(one) {
		t.Error("unregistering did not work once, and once only")
	}
	if err := r.Register(again); err != nil {
		t.Errorf("once more after that: %v", err)
	}
}

// A counter of a process goes on from what was shown, whatever its collector does.
func TestRegistererCarries(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	shows := func(what string, want map[string]float64) {
		t.Helper()
		_ = s.Flush(context.Background())
		same(t, what, mergedOf(t, dir), want)
	}
	var value float64
	reset := prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "func_total", Help: "h"}, func() float64 { return value })
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"l"})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"})
	histogram := func() prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h"})
	}
	h := histogram()
	s.Registerer().MustRegister(reset, counter, gauge, h)
	value = 10
	counter.WithLabelValues("x").Add(3)
	gauge.Set(1)
	h.Observe(1)
	shows("before", map[string]float64{"func_total": 10, "c_total/x": 3, "g": 1, "h": 1})
	value = 4
	counter.Reset()
	s.Registerer().Unregister(gauge)
	s.Registerer().Unregister(h)
	shows("reset", map[string]float64{"func_total": 14, "h": 1}) // c_total/x was deleted
	value = 5
	counter.WithLabelValues("x").Add(1)
	h = histogram()
	s.Registerer().MustRegister(h)
	h.Observe(1)
	// Another histogram of the name starts at zero, also with as many observations as before.
	shows("counted on", map[string]float64{"func_total": 15, "c_total/x": 4, "h": 2})
	h.Observe(1)
	shows("and on", map[string]float64{"func_total": 15, "c_total/x": 4, "h": 3})
}

// slow hangs until it is let go, and panics if it is told to.
type slow struct {
	prometheus.Counter
	hang  chan struct{}
	panic bool
}

func (s *slow) Collect(ch chan<- prometheus.Metric) {
	if s.panic {
		panic("in a collector")
	}
	<-s.hang
	s.Counter.Collect(ch)
}

// badMetric cannot be written.
type badMetric struct{ prometheus.Counter }

func (b badMetric) Collect(ch chan<- prometheus.Metric) { ch <- badWritten{b.Counter} }

type badWritten struct{ prometheus.Metric }

func (badWritten) Write(*dto.Metric) error { panic("in a metric") }

func TestRegistererGuards(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	counter := func(name string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: "h"})
	}
	hanging := &slow{Counter: counter("hanging_total"), hang: make(chan struct{})}
	fine := counter("fine_total")
	s.Registerer().MustRegister(hanging, &slow{Counter: counter("panics_total"), panic: true}, badMetric{counter("bad_total")}, fine)
	for n := range 2 {
		fine.Inc()
		begin := time.Now()
		_ = s.Flush(context.Background())
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("a flush took %v", took)
		}
		got := mergedOf(t, dir)
		same(t, "beside bad ones", got, map[string]float64{"fine_total": float64(n + 1)})
	}
	_ = s.Flush(context.Background()) // the counts of the flush before
	got := mergedOf(t, dir)
	for _, reason := range []string{"slow", "panic"} {
		if n := got["mpmetrics_unmirrored_total/"+reason]; n < 2 {
			t.Errorf("%s: counted %v times, want at least 2", reason, n)
		}
	}
	close(hanging.hang)
	promtest.Eventually(t, "the one that hung", func() bool {
		_ = s.Flush(context.Background())
		_, there := mergedOf(t, dir)["hanging_total"]
		return there
	})
}

// The collectors of client_golang itself, which every service has.
func TestRegistererGoCollector(t *testing.T) {
	dir := inMemory(t)
	for range 2 {
		s := quiet(t, dir)
		s.Registerer().MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		_ = s.Flush(context.Background())
	}
	got := mergedOf(t, dir)
	if n := got["go_goroutines"]; n < 4 {
		t.Errorf("%v goroutines of two processes", n)
	}
	versions := 0
	for name, v := range got {
		if strings.HasPrefix(name, "go_info/") {
			versions++
			if v != 1 {
				t.Errorf("%s is %v, want 1", name, v)
			}
		}
	}
	if versions != 1 {
		t.Errorf("%d samples of go_info, want one", versions)
	}
	if start := got["process_start_time_seconds"]; start > float64(time.Now().Unix()+1) {
		t.Errorf("process_start_time_seconds is %v, the sum of two", start)
	}
}

func TestRegistererInMemory(t *testing.T) {
	s := open(t, store.Opts{Location: "memory:"})
	if s.Registerer() != prometheus.DefaultRegisterer {
		t.Error("without a directory it is not the default registerer")
	}
	_ = s.Flush(context.Background()) // nothing to do
}

// A new file in the place of one that was removed holds what was mirrored, before
// anybody sees it.
func TestRegistererInNewFile(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	promauto.With(s.Registerer()).NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Add(5)
	_ = s.Flush(context.Background())
	if err := os.Remove(s.Path()); err != nil {
		t.Fatal(err)
	}
	promtest.Eventually(t, "a new file", func() bool { return len(files(dir)) == 1 })
	same(t, "in the new file", mergedOf(t, dir), map[string]float64{"c_total": 5})
}

// What is mirrored is there after SIGKILL, but for the last interval.
func TestRegistererFlushesByItself(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir, func(o *store.Opts) { o.FlushInterval = 10 * time.Millisecond })
	c := promauto.With(s.Registerer()).NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
	c.Add(5)
	promtest.Eventually(t, "a flush", func() bool { return mergedOf(t, dir)["c_total"] == 5 })
	c.Inc()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, "closed", mergedOf(t, dir), map[string]float64{"c_total": 6})
}
