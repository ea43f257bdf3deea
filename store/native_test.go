package store_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/store"
)

// nativeOpts ask for native buckets between whose bounds is a factor of two.
var nativeOpts = prometheus.HistogramOpts{Name: "native_seconds", Help: "h", NativeHistogramBucketFactor: 2}

// histogramsOf returns the histograms of a name that all processes of a directory have
// together, by the value of their first label.
func histogramsOf(t testing.TB, g prometheus.Gatherer, name string) map[string]*dto.Histogram {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*dto.Histogram{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.Metric {
			label := ""
			if len(m.Label) > 0 {
				label = m.Label[0].GetValue()
			}
			all[label] = m.Histogram
		}
	}
	return all
}

func sameHistogram(t testing.TB, what string, got, want *dto.Histogram) {
	t.Helper()
	text := func(h *dto.Histogram) string {
		h = proto.Clone(h).(*dto.Histogram)
		h.CreatedTimestamp = nil
		return prototext.Format(h)
	}
	if got == nil {
		t.Fatalf("%s: no histogram", what)
	}
	if diff := cmp.Diff(text(want), text(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// Native histograms of ours are merged as one that observed everything, however fine
// those of each process are, and the same before a process is absorbed and after.
func TestNativeHistogramsMerge(t *testing.T) {
	dir := inMemory(t)
	var stores []*store.Store
	all := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "all", Help: "h", NativeHistogramBucketFactor: 2, Buckets: []float64{1, 4},
	})
	for n, factor := range []float64{1.1, 2, 1.5} {
		s := quiet(t, dir)
		stores = append(stores, s)
		o := nativeOpts
		o.NativeHistogramBucketFactor, o.Buckets = factor, []float64{1, 4}
		vec := s.NewHistogramVec(o, []string{"l"})
		single := s.NewHistogram(prometheus.HistogramOpts{Name: "single", Help: "h", NativeHistogramBucketFactor: factor})
		for i := range 200 {
			v := math.Ldexp(float64(i*(n+1)%37)-10, i%7-3)
			vec.WithLabelValues("x").Observe(v)
			all.Observe(v)
			single.Observe(v)
		}
		_ = s.Flush(context.Background())
	}
	var m dto.Metric
	if err := all.Write(&m); err != nil {
		t.Fatal(err)
	}
	g := scraper(t, dir)
	sameHistogram(t, "all live", histogramsOf(t, g, nativeOpts.Name)["x"], m.Histogram)
	if got := histogramsOf(t, g, "single")[""]; got.GetSampleCount() != 600 || len(got.Bucket) > 0 || len(got.PositiveSpan) == 0 {
		t.Errorf("without labels and classic buckets: %v", got)
	}
	for _, s := range stores[:2] {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	sameHistogram(t, "two dead", histogramsOf(t, g, nativeOpts.Name)["x"], m.Histogram)
	report, err := compact.Run(context.Background(), dir, compact.Opts{})
	if err != nil || report.Absorbed != 2 {
		t.Fatalf("%+v, %v", report, err)
	}
	sameHistogram(t, "two absorbed", histogramsOf(t, g, nativeOpts.Name)["x"], m.Histogram)
	other := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer other.Close()
	sameHistogram(t, "read by another", histogramsOf(t, registry(other), nativeOpts.Name)["x"], m.Histogram)
}

// In memory they are what client_golang has.
func TestNativeHistogramInMemory(t *testing.T) {
	s := open(t, store.Opts{Location: "memory:"})
	s.NewHistogramVec(nativeOpts, []string{"l"}).WithLabelValues("x").Observe(3)
	direct := prometheus.NewHistogram(nativeOpts)
	direct.Observe(3)
	var m dto.Metric
	if err := direct.Write(&m); err != nil {
		t.Fatal(err)
	}
	sameHistogram(t, "in memory", histogramsOf(t, registry(s), nativeOpts.Name)["x"], m.Histogram)
}

// A series that was deleted leaves, and a series that was made again goes on, also if it has counted
// more than before at the next flush.
func TestNativeHistogramDeleted(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	g := scraper(t, dir)
	vec := s.NewHistogramVec(nativeOpts, []string{"l"})
	observe := func(label string, n int) {
		for range n {
			vec.WithLabelValues(label).Observe(1)
		}
	}
	observe("x", 5)
	observe("y", 5)
	observe("z", 5)
	_ = s.Flush(context.Background())
	before := histogramsOf(t, g, nativeOpts.Name)
	vec.DeleteLabelValues("x")
	vec.DeleteLabelValues("y")
	observe("x", 7)
	_ = s.Flush(context.Background())
	got := histogramsOf(t, g, nativeOpts.Name)
	if got["x"].GetSampleCount() != 12 || got["y"] != nil || got["z"].GetSampleCount() != 5 {
		t.Errorf("after deletion: %v", got)
	}
	if !proto.Equal(got["x"].CreatedTimestamp, before["x"].CreatedTimestamp) {
		t.Error("the start timestamp moved")
	}
	vec.Reset()
	observe("z", 1)
	_ = s.Flush(context.Background())
	if got := histogramsOf(t, g, nativeOpts.Name); len(got) != 1 || got["z"].GetSampleCount() != 6 {
		t.Errorf("after a reset: %v", got)
	}
}

// A native histogram that has too many buckets resets itself. The total goes on.
func TestNativeHistogramThatResetsItself(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	g := scraper(t, dir)
	o := nativeOpts
	o.NativeHistogramMaxBucketNumber, o.NativeHistogramMinResetDuration = 3, time.Nanosecond
	h := s.NewHistogram(o)
	var last *dto.Histogram
	for i := range 40 {
		h.Observe(math.Ldexp(1, i%13))
		_ = s.Flush(context.Background()) // each time, or what was counted in between was never shown, and is no dip
		got := histogramsOf(t, g, nativeOpts.Name)[""]
		if last != nil && (got.GetSampleCount() < last.GetSampleCount() || got.GetSchema() > last.GetSchema() || !proto.Equal(got.CreatedTimestamp, last.CreatedTimestamp)) {
			t.Fatalf("observation %d: from %v to %v", i, last, got)
		}
		last = got
	}
	if last.GetSampleCount() != 40 {
		t.Errorf("%d observations, want 40", last.GetSampleCount())
	}
	var own dto.Metric
	if err := h.Write(&own); err != nil || own.Histogram.GetSampleCount() >= 40 {
		t.Fatalf("%v, %v: it did not reset itself", own.Histogram, err)
	}
}

// The same names are refused, and options that client_golang refuses.
func TestNativeHistogramRefused(t *testing.T) {
	s := quiet(t, inMemory(t))
	s.NewHistogram(nativeOpts)
	if panicOf(func() { s.NewHistogramVec(nativeOpts, []string{"l"}) }) == nil {
		t.Error("a name was accepted twice")
	}
	if panicOf(func() { s.Registerer().MustRegister(prometheus.NewHistogram(nativeOpts)) }) == nil {
		t.Error("a name was accepted twice, the second time by the Registerer")
	}
	o := nativeOpts
	o.Name, o.Buckets = "other", []float64{2, 1}
	if panicOf(func() { s.NewHistogramVec(o, []string{"l"}) }) == nil {
		t.Error("buckets that descend were accepted")
	}
}

// An observation of package level is enough to make the process show it.
func init() {
	for name, observe := range map[string]func(prometheus.Histogram, *prometheus.HistogramVec){
		"observe": func(h prometheus.Histogram, _ *prometheus.HistogramVec) { h.Observe(1) },
		"exemplar": func(h prometheus.Histogram, _ *prometheus.HistogramVec) {
			h.(prometheus.ExemplarObserver).ObserveWithExemplar(1, prometheus.Labels{"a": "b"})
		},
		"vec": func(_ prometheus.Histogram, v *prometheus.HistogramVec) { v.WithLabelValues("x").Observe(1) },
	} {
		programs["native histogram: "+name] = func(p *program) {
			h := store.NewHistogram(nativeOpts)
			v := store.NewHistogramVec(prometheus.HistogramOpts{Name: "v", Help: "h", NativeHistogramBucketFactor: 2}, []string{"l"})
			dir := os.Getenv(store.EnvDir)
			p.equal("files before", len(files(dir)), 0)
			observe(h, v)
			p.equal("files", len(files(dir)), 1)
			_ = store.Default().Flush(context.Background())
			got := merged(registry(collector.New(collector.Opts{})))
			p.equal("observations", got[nativeOpts.Name]+got["v/x"], 1.0)
		}
	}
}

func TestNativeHistogramOfPackageLevel(t *testing.T) {
	for _, name := range []string{"observe", "exemplar", "vec"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, "native histogram: "+name, store.EnvDir+"="+inMemory(t))
		})
	}
}

// A collector that is replaced by one with native buckets, or the other way round, with
// the same classic ones, goes on from what was shown: the sum too.
func TestHistogramReplacedByNative(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	g := scraper(t, dir)
	want := uint64(0)
	for _, factor := range []float64{0, 2, 0, 2} {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 2}, NativeHistogramBucketFactor: factor})
		s.Registerer().MustRegister(h)
		for range 2 {
			for range 3 {
				h.Observe(1.5)
				want++
			}
			_ = s.Flush(context.Background())
			got := histogramsOf(t, g, "h")[""]
			if got.GetSampleCount() != want || got.GetSampleSum() != 1.5*float64(want) || got.Bucket[1].GetCumulativeCount() != want {
				t.Fatalf("factor %v: %v, want %d observations", factor, got, want)
			}
		}
		s.Registerer().Unregister(h)
	}
}

// Whoever deletes, observes, flushes and scrapes at once, in the end each series goes on from what
// was shown. Label values are constrained before.
func TestNativeHistogramDeletedWhileObserved(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir, func(o *store.Opts) { o.FlushInterval = 5 * time.Millisecond })
	vec := s.V2().NewHistogramVec(prometheus.HistogramVecOpts{
		HistogramOpts: nativeOpts, VariableLabels: prometheus.ConstrainedLabels{{Name: "l", Constraint: strings.ToLower}},
	})
	g := scraper(t, dir)
	const labels, rounds = 7, 200
	var observers, all sync.WaitGroup
	ended := make(chan struct{})
	for range 2 {
		observers.Go(func() {
			for i := range 100 * rounds {
				vec.WithLabelValues(fmt.Sprint("X", i%labels)).Observe(float64(i))
			}
		})
	}
	for _, work := range []func(round int){
		func(int) { vec.Reset() },
		func(round int) {
			vec.DeleteLabelValues(fmt.Sprint("X", round%labels))
			vec.DeletePartialMatch(prometheus.Labels{"l": "X1"})
		},
		func(int) { _ = s.Flush(context.Background()) },
		func(int) { histogramsOf(t, g, nativeOpts.Name) },
	} {
		all.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-ended:
					return
				default:
					work(round)
				}
			}
		})
	}
	observers.Wait()
	close(ended)
	all.Wait()
	observe := func() map[string]*dto.Histogram {
		for n := range labels {
			for range n + 1 {
				vec.WithLabelValues(fmt.Sprint("x", n)).Observe(1)
			}
		}
		_ = s.Flush(context.Background())
		return histogramsOf(t, g, nativeOpts.Name)
	}
	before := observe()
	vec.Reset()
	got := observe()
	for n := range labels {
		l := fmt.Sprint("x", n)
		if count, want := got[l].GetSampleCount(), before[l].GetSampleCount()+uint64(n+1); count != want || want < uint64(2*(n+1)) {
			t.Errorf("%s: %d observations, want %d", l, count, want)
		}
	}
	if len(got) != labels {
		t.Errorf("%d series, want %d: %v", len(got), labels, got)
	}
}
