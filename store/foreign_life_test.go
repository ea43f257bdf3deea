package store_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// shows is a collector that describes its metrics, and shows what its function sends.
type shows struct {
	desc    *prometheus.Desc
	collect func(d *prometheus.Desc, ch chan<- prometheus.Metric)
}

func (s *shows) Describe(ch chan<- *prometheus.Desc) { ch <- s.desc }
func (s *shows) Collect(ch chan<- prometheus.Metric) { s.collect(s.desc, ch) }

// constantCounter is a counter that a collector makes anew for each look.
func constantCounter(name string, value func() float64) *shows {
	return &shows{prometheus.NewDesc(name, "h", nil, nil), func(d *prometheus.Desc, ch chan<- prometheus.Metric) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value())
	}}
}

func always(v float64) func() float64 { return func() float64 { return v } }

// idle opens a store that looks at its collectors only when it is asked to.
func idle(t *testing.T, dir string) *store.Store {
	t.Helper()
	return quiet(t, dir, func(o *store.Opts) { o.FlushInterval = time.Hour })
}

// A client of a library is closed and made again: what each of them has counted adds up, for
// counters with a start timestamp and without, whether a look came between or not.
func TestReplacedCollectorsAddUp(t *testing.T) {
	for _, looks := range []struct {
		name  string
		flush bool
	}{{name: "looked at", flush: true}, {name: "within an interval"}} {
		t.Run(looks.name, func(t *testing.T) {
			dir := inMemory(t)
			s := idle(t, dir)
			r := s.Registerer()
			for range 3 {
				made := prometheus.NewCounter(prometheus.CounterOpts{Name: "made_total", Help: "h"})
				made.Add(100)
				all := []prometheus.Collector{made, constantCounter("const_total", always(100))}
				r.MustRegister(all...)
				if looks.flush {
					if err := s.Flush(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				made.Add(10) // after the last look
				for _, c := range all {
					if !r.Unregister(c) {
						t.Fatal("a collector is not known")
					}
				}
			}
			if err := s.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			got := mergedOf(t, dir)
			for name, want := range map[string]float64{"made_total": 330, "const_total": 300} {
				if got[name] != want {
					t.Errorf("%s is %v, want %v", name, got[name], want)
				}
			}
		})
	}
}

// The very same collector that was unregistered for a while goes on with its counts.
func TestCollectorThatComesBackIsNotCountedTwice(t *testing.T) {
	dir := inMemory(t)
	s := idle(t, dir)
	r := s.Registerer()
	value := 100.0
	made := prometheus.NewCounter(prometheus.CounterOpts{Name: "made_total", Help: "h"})
	made.Add(100)
	constant := constantCounter("const_total", func() float64 { return value })
	for range 3 {
		r.MustRegister(made, constant)
		_ = s.Flush(t.Context())
		made.Add(1)
		value++
		if !r.Unregister(made) || !r.Unregister(constant) {
			t.Fatal("a collector is not known")
		}
		_ = s.Flush(t.Context())
	}
	got := mergedOf(t, dir)
	for name, want := range map[string]float64{"made_total": 103, "const_total": 103} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

// A value that no counting can have is refused, counted, and named; the total does not dip.
func TestImpossibleValuesAreRefused(t *testing.T) {
	dir := inMemory(t)
	var mu sync.Mutex
	var log bytes.Buffer
	s := quiet(t, dir, func(o *store.Opts) {
		o.FlushInterval = time.Hour
		o.Logger = slog.New(slog.NewTextHandler(&locked{w: &log, mu: &mu}, nil))
	})
	value := 7.0
	s.Registerer().MustRegister(constantCounter("c_total", func() float64 { return value }))
	buckets := map[float64]uint64{1: 2, 2: 3}
	s.Registerer().MustRegister(&shows{prometheus.NewDesc("h", "h", nil, nil), func(d *prometheus.Desc, ch chan<- prometheus.Metric) {
		ch <- prometheus.MustNewConstHistogram(d, 4, 5, buckets)
	}})
	for _, v := range []float64{7, -5, math.Inf(-1), -0.001} {
		value = v
		_ = s.Flush(t.Context())
		if got := mergedOf(t, dir); got["c_total"] != 7 || got["h"] != 4 {
			t.Errorf("after %v: c_total is %v, want 7, h %v, want 4", v, got["c_total"], got["h"])
		}
	}
	value, buckets = 8, map[float64]uint64{1: 5, 2: 3}
	_ = s.Flush(t.Context())
	_ = s.Flush(t.Context()) // the counts of the flush before
	got := mergedOf(t, dir)
	if got["c_total"] != 8 || got["h"] != 4 {
		t.Errorf("c_total is %v, want 8, h %v, want 4", got["c_total"], got["h"])
	}
	if got["mpmetrics_unmirrored_total/value"] != 2 {
		t.Errorf("%v are counted as unmirrored, want one for each family", got["mpmetrics_unmirrored_total/value"])
	}
	deadline := time.Now().Add(10 * time.Second)
	for _, text := range []string{"family=c_total", "has the value -5", "family=h", "a histogram of 4 observations has"} {
		for {
			mu.Lock()
			found := strings.Contains(log.String(), text)
			mu.Unlock()
			if found {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the log does not say %q:\n%s", text, log.String())
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// The log names the collector that fails, by its families, once for each collector.
func TestFailingCollectorsAreNamed(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	s := quiet(t, inMemory(t), func(o *store.Opts) {
		o.FlushInterval = time.Hour
		o.Logger = slog.New(slog.NewTextHandler(&locked{w: &log, mu: &mu}, nil))
	})
	desc := prometheus.NewDesc("http_responses_total", "h", []string{"path"}, nil)
	s.Registerer().MustRegister(
		// A label value that is not UTF-8, as an exporter passes it on.
		&undescribed{func(ch chan<- prometheus.Metric) {
			_, err := prometheus.NewConstMetric(desc, prometheus.CounterValue, 1, "/\xc0.")
			ch <- prometheus.NewInvalidMetric(desc, err)
		}},
		&shows{prometheus.NewDesc("panics_total", "h", nil, nil), func(*prometheus.Desc, chan<- prometheus.Metric) { panic("out of order") }},
		&shows{prometheus.NewDesc("fails_total", "h", nil, nil), func(d *prometheus.Desc, ch chan<- prometheus.Metric) {
			ch <- prometheus.NewInvalidMetric(d, errors.New("cannot be read"))
		}},
	)
	for range 3 {
		_ = s.Flush(t.Context())
	}
	for _, text := range []string{"family http_responses_total", "the collector of panics_total: collector panicked: out of order", "the collector of fails_total: family fails_total: cannot be read"} {
		deadline := time.Now().Add(10 * time.Second)
		for {
			mu.Lock()
			n := strings.Count(log.String(), text)
			mu.Unlock()
			if n == 1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the log says %q %d times, want once:\n%s", text, n, log.String())
			}
			time.Sleep(time.Millisecond)
		}
	}
}

// undescribed is a collector that describes nothing.
type undescribed struct {
	collect func(ch chan<- prometheus.Metric)
}

func (u *undescribed) Describe(chan<- *prometheus.Desc)    {}
func (u *undescribed) Collect(ch chan<- prometheus.Metric) { u.collect(ch) }

// locked lets goroutines write a log at the same time.
type locked struct {
	w  *bytes.Buffer
	mu *sync.Mutex
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// A collector whose counter dips is found by the resets of its family.
func TestResetsAreCountedByFamily(t *testing.T) {
	dir := inMemory(t)
	s := idle(t, dir)
	value := 1000004.0
	s.Registerer().MustRegister(constantCounter("dips_total", func() float64 { return value }), constantCounter("grows_total", always(1)))
	for _, v := range []float64{1000004, 1000001, 1000002} {
		value = v
		_ = s.Flush(t.Context())
	}
	_ = s.Flush(t.Context())
	got := mergedOf(t, dir)
	if got["mpmetrics_mirrored_resets_total/dips_total"] != 1 {
		t.Errorf("%v resets are counted, want 1", got["mpmetrics_mirrored_resets_total/dips_total"])
	}
	if _, there := got["mpmetrics_mirrored_resets_total/grows_total"]; there {
		t.Error("a counter that grows is counted as reset")
	}
}
