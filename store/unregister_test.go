package store_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// maker makes the instruments of one program: by package store, or behind its Registerer.
type maker struct {
	register func(prometheus.Collector) // of a collector that the maker has made
	counter  func(name, help string) *prometheus.CounterVec
	gauge    func(name string) *prometheus.GaugeVec
	hist     func(name string, factor float64) *prometheus.HistogramVec
	summary  func(name string) *prometheus.SummaryVec
}

func ownMaker(s *store.Store) maker {
	return maker{
		register: func(prometheus.Collector) {},
		counter: func(name, help string) *prometheus.CounterVec {
			return s.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"l"})
		},
		gauge: func(name string) *prometheus.GaugeVec {
			return s.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: "h"}, []string{"l"})
		},
		hist: func(name string, factor float64) *prometheus.HistogramVec {
			return s.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: "h", NativeHistogramBucketFactor: factor}, []string{"l"})
		},
		summary: func(name string) *prometheus.SummaryVec {
			return s.NewSummaryVec(prometheus.SummaryOpts{Name: name, Help: "h"}, []string{"l"})
		},
	}
}

func foreignMaker(s *store.Store) maker {
	return maker{
		register: func(c prometheus.Collector) { s.Registerer().MustRegister(c) },
		counter: func(name, help string) *prometheus.CounterVec {
			return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"l"})
		},
		gauge: func(name string) *prometheus.GaugeVec {
			return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: "h"}, []string{"l"})
		},
		hist: func(name string, factor float64) *prometheus.HistogramVec {
			return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: "h", NativeHistogramBucketFactor: factor}, []string{"l"})
		},
		summary: func(name string) *prometheus.SummaryVec {
			return prometheus.NewSummaryVec(prometheus.SummaryOpts{Name: name, Help: "h"}, []string{"l"})
		},
	}
}

// family is one generation of five families with one series each.
type family struct {
	maker
	counter   *prometheus.CounterVec
	gauge     *prometheus.GaugeVec
	classic   *prometheus.HistogramVec
	native    *prometheus.HistogramVec
	summaries *prometheus.SummaryVec
}

func (m maker) make() *family {
	f := &family{m, m.counter("c_total", "h"), m.gauge("g"), m.hist("h", 0), m.hist("n", 2), m.summary("s")}
	for _, c := range f.all() {
		m.register(c)
	}
	return f
}

func (f *family) all() []prometheus.Collector {
	return []prometheus.Collector{f.counter, f.gauge, f.classic, f.native, f.summaries}
}

// count counts n in each family.
func (f *family) count(l string, n int) {
	f.counter.WithLabelValues(l).Add(float64(n))
	f.gauge.WithLabelValues(l).Set(float64(n))
	for range n {
		f.classic.WithLabelValues(l).Observe(1)
		f.native.WithLabelValues(l).Observe(1)
		f.summaries.WithLabelValues(l).Observe(1)
	}
}

func (f *family) unregister(t *testing.T, s *store.Store) {
	t.Helper()
	for _, c := range f.all() {
		if !s.Registerer().Unregister(c) {
			t.Errorf("%T is not known", c)
		}
	}
}

// counts is what readers should find: n in each family, and a gauge.
func counts(l string, n, gauge float64) map[string]float64 {
	all := map[string]float64{"c_total/" + l: n, "h/" + l: n, "n/" + l: n, "s/" + l: n}
	if gauge != 0 {
		all["g/"+l] = gauge
	}
	return all
}

// Own and mirrored instruments follow one rule: after Unregister gauges leave at once, and are new
// when made again. Counters, histograms and summaries stay as shown, and go on when made again. The
// unregistered instruments count nowhere.
func TestUnregisterIsOneRule(t *testing.T) {
	for name, of := range map[string]func(*store.Store) maker{"own": ownMaker, "mirrored": foreignMaker} {
		t.Run(name, func(t *testing.T) {
			dir := inMemory(t)
			s := quiet(t, dir)
			g := scraper(t, dir)
			shows := func(what string, want map[string]float64) {
				t.Helper()
				_ = s.Flush(t.Context())
				same(t, what, merged(g), want)
				same(t, what+", to a new collector", mergedOf(t, dir), want)
			}
			first := of(s).make()
			first.count("x", 5)
			shows("made", counts("x", 5, 5))
			first.count("x", 1) // no flush before Unregister
			first.unregister(t, s)
			shows("unregistered", counts("x", 6, 0))
			first.count("x", 100)
			shows("the unregistered count on", counts("x", 6, 0))
			second := of(s).make()
			shows("made again, without series", counts("x", 6, 0))
			second.count("x", 2)
			first.count("x", 100)
			shows("made again", counts("x", 8, 2))
			second.gauge.Reset()
			second.counter.WithLabelValues("x").Inc()
			want := counts("x", 8, 0)
			want["c_total/x"] = 9
			promtest.Eventually(t, "the new gauge is in reach of Reset", func() bool {
				_ = s.Flush(t.Context())
				_, there := merged(g)["g/x"]
				return !there
			})
			shows("the gauge was reset", want)
			second.unregister(t, s)
			shows("unregistered again", want)
		})
	}
}

// A histogram that is made again with other buckets adds to what the former histogram counted.
func TestUnregisterThenOtherBuckets(t *testing.T) {
	for _, name := range []string{"own", "mirrored"} {
		t.Run(name, func(t *testing.T) {
			dir := inMemory(t)
			s := quiet(t, dir)
			for n, bounds := range [][]float64{{1, 2}, {1, 3}, {1, 2}, {1}} {
				o := prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: bounds}
				h := prometheus.NewHistogram(o)
				if name == "own" {
					h = s.NewHistogram(o)
				} else {
					s.Registerer().MustRegister(h)
				}
				h.Observe(1)
				h.Observe(5)
				_ = s.Flush(t.Context())
				g := scraper(t, dir)
				same(t, "made", merged(g), map[string]float64{"h": float64(2 * (n + 1))})
				s.Registerer().Unregister(h)
				_ = s.Flush(t.Context())
				got := histogramsOf(t, g, "h")[""]
				if b := got.Bucket[0]; b.GetUpperBound() != 1 || b.GetCumulativeCount() != uint64(n+1) || got.GetSampleCount() != uint64(2*(n+1)) {
					t.Errorf("after bounds %v: %v", bounds, got)
				}
			}
		})
	}
}

// Jobs that register and unregister their metrics for as long as the process lives leave nothing
// but the counts: the series of the file, the file and the heap stay as they are.
func TestUnregisterKeepsNothingElse(t *testing.T) {
	for name, of := range map[string]func(*store.Store) maker{"own": ownMaker, "mirrored": foreignMaker} {
		t.Run(name, func(t *testing.T) {
			store.SetTickFor(t, time.Millisecond)
			clock := newClock(t)
			dir := inMemory(t)
			s := quiet(t, dir)
			rounds := 300
			heap, size := int64(0), int64(0)
			for n := range rounds {
				f := of(s).make()
				f.count("x", 1)
				f.count("y", 1)
				_ = s.Flush(t.Context())
				f.unregister(t, s)
				clock.forward(time.Minute)
				if n == rounds/2 {
					heap, size = heapBytes(), fileSize(t, s)
				}
			}
			want := counts("x", float64(rounds), 0)
			for key, v := range counts("y", float64(rounds), 0) {
				want[key] = v
			}
			_ = s.Flush(t.Context())
			same(t, "all jobs", mergedOf(t, dir), want)
			if n := s.Series(); n > len(want) {
				t.Errorf("%d series count against the limit, want at most %d", n, len(want))
			}
			if more := heapBytes() - heap; more > 2<<20 {
				t.Errorf("the heap grew by %d bytes", more)
			}
			if more := fileSize(t, s) - size; more > 1<<20 {
				t.Errorf("the file grew by %d bytes", more)
			}
		})
	}
}

func fileSize(t *testing.T, s *store.Store) int64 {
	t.Helper()
	st, err := os.Stat(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	return st.Size()
}

// What an unregistered family counted moves into a new file too, and goes on there.
func TestUnregisteredBeforeANewFile(t *testing.T) {
	store.SetTickFor(t, 2*time.Millisecond)
	dir := inMemory(t)
	s := quiet(t, dir)
	first := ownMaker(s).make()
	first.count("x", 5)
	first.unregister(t, s)
	if err := os.Remove(s.Path()); err != nil {
		t.Fatal(err)
	}
	promtest.Eventually(t, "a new file", func() bool { return len(files(dir)) == 1 })
	_ = s.Flush(t.Context())
	same(t, "in the new file", mergedOf(t, dir), counts("x", 5, 0))
	second := ownMaker(s).make()
	second.count("x", 2)
	_ = s.Flush(t.Context())
	same(t, "made again", mergedOf(t, dir), counts("x", 7, 2))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	same(t, "closed", mergedOf(t, dir), counts("x", 7, 0))
}

// Instruments without labels, and gauges of every mode.
func TestUnregisterWithoutLabels(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	for n := 1; n <= 3; n++ {
		counter := s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
		counter.Inc()
		all := []prometheus.Collector{counter}
		for mode := store.All; mode <= store.LiveMean; mode++ {
			gauge := s.NewGauge(prometheus.GaugeOpts{Name: fmt.Sprint("g", mode), Help: "h"}, mode)
			gauge.Set(float64(n))
			all = append(all, gauge)
		}
		got := own(mergedOf(t, dir))
		if len(got) != len(all) || got["c_total"] != float64(n) || got["gmax"] != float64(n) {
			t.Errorf("round %d: %v", n, got)
		}
		for _, c := range all {
			s.Registerer().Unregister(c)
		}
		same(t, "unregistered", mergedOf(t, dir), map[string]float64{"c_total": float64(n)})
	}
}

// Whoever counts, unregisters, makes again and scrapes at once: the counter never goes down, and
// counts what was counted before it was unregistered.
func TestUnregisterWhileCounting(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	g := scraper(t, dir)
	done := make(chan struct{})
	go func() {
		defer close(done)
		last := 0.0
		for range 200 {
			v := merged(g)["c_total/x"]
			if v < last {
				t.Errorf("the counter fell from %v to %v", last, v)
			}
			last = v
		}
	}()
	want := 0.0
	for ended := false; !ended; {
		select {
		case <-done:
			ended = true
		default:
		}
		c := ownMaker(s).counter("c_total", "h")
		for range 50 {
			c.WithLabelValues("x").Inc()
			want++
		}
		s.Registerer().Unregister(c)
	}
	_ = s.Flush(context.Background())
	if got := mergedOf(t, dir)["c_total/x"]; got != want {
		t.Errorf("%v counts, want %v", got, want)
	}
}
