package promtest_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
)

func registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"b", "a"})
	c.WithLabelValues("2", "1").Add(3)
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"})
	g.Set(-1)
	u := prometheus.NewUntypedFunc(prometheus.UntypedOpts{Name: "u", Help: "h"}, func() float64 { return 4 })
	s := prometheus.NewSummary(prometheus.SummaryOpts{Name: "s", Help: "h"})
	s.Observe(2)
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 5}})
	h.Observe(3)
	r.MustRegister(c, g, u, s, h)
	return r
}

func TestFlatten(t *testing.T) {
	got := promtest.Flatten(promtest.Gather(t, registry()))
	want := promtest.Samples{
		`c_total{a="1",b="2"}`: 3, "g": -1, "u": 4, "s_sum": 2, "s_count": 1,
		`h_bucket{le="1"}`: 0, `h_bucket{le="5"}`: 1, `h_bucket{le="+Inf"}`: 1, "h_sum": 3, "h_count": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("samples (-want +got):\n%s", diff)
	}
}

func TestPage(t *testing.T) {
	server := httptest.NewServer(promhttp.HandlerFor(registry(), promhttp.HandlerOpts{}))
	defer server.Close()
	text := promtest.Scrape(t, server.URL)
	for name, want := range map[string]float64{`c_total{a="1",b="2"}`: 3, "g": -1, "h_count": 1, "missing": -1, "c_total": -1} {
		if got := promtest.Sample(text, name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	missing := httptest.NewServer(nil)
	defer missing.Close()
	if _, err := promtest.Get(missing.URL + "/x"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error of a missing page: %v", err)
	}
}

func TestWithin(t *testing.T) {
	n := 0
	if !promtest.Within(time.Minute, func() bool { n++; return n == 3 }) || n != 3 {
		t.Errorf("asked %d times, want 3", n)
	}
	if promtest.Within(time.Millisecond, func() bool { return false }) {
		t.Error("a condition that never holds held")
	}
}
