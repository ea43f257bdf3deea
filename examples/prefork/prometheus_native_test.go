package main

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/testing/promserver"
	"github.com/mpmetrics/mpmetrics/store"
)

// TestPrometheusReadsNativeHistograms lets a real Prometheus server scrape the native histogram of two processes, which
// have it in different resolutions, while one of them ends and is absorbed. It takes what it gets for one histogram that
// never was reset.
func TestPrometheusReadsNativeHistograms(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a server")
	}
	server := promserver.FindTool(t, "prometheus")
	dir := metricsDir(t)
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true})
	t.Cleanup(func() { _ = c.Close() })
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	web := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(web.Close)
	prom := promserver.Start(t, server, strings.TrimPrefix(web.URL, "http://"), "--enable-feature=native-histograms")

	var stores []*store.Store
	for _, factor := range []float64{1.1, 2} {
		s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		stores = append(stores, s)
		h := s.NewHistogram(prometheus.HistogramOpts{Name: "work_seconds", Help: "h", NativeHistogramBucketFactor: factor})
		for range 100 {
			h.Observe(0.75)
		}
		h.Observe(0)
		_ = s.Flush(context.Background())
	}
	prom.WaitForValue(t, "histogram_count(work_seconds)", 202)
	prom.WaitForValue(t, "histogram_fraction(0.5, 1, work_seconds) * 202", 200)
	if err := stores[0].Close(); err != nil {
		t.Fatal(err)
	}
	if report, err := compact.Run(context.Background(), dir, compact.Opts{}); err != nil || report.Absorbed != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	h := stores[1].NewHistogram(prometheus.HistogramOpts{Name: "more_seconds", Help: "h", NativeHistogramBucketFactor: 2})
	h.Observe(1)
	prom.WaitForValue(t, "histogram_count(more_seconds)", 1) // of a scrape that began behind the absorption
	prom.WaitForValue(t, "histogram_count(work_seconds)", 202)
	prom.WaitForValue(t, "resets(work_seconds[10m])", 0)
}
