package main

import (
	"os"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/store"
)

// maker makes instruments. Those of both libraries are used through client_golang's interfaces, in the same loop.
type maker interface {
	NewCounter(prometheus.CounterOpts) prometheus.Counter
	NewCounterVec(prometheus.CounterOpts, []string) *prometheus.CounterVec
	NewGauge(prometheus.GaugeOpts) prometheus.Gauge
	NewHistogram(prometheus.HistogramOpts) prometheus.Histogram
	NewHistogramVec(prometheus.HistogramOpts, []string) *prometheus.HistogramVec
}

// clientGolang is a registry with nothing in it.
func clientGolang() maker { return promauto.With(prometheus.NewRegistry()) }

// mpmetrics is a store in a directory of its own.
func mpmetrics(tb testing.TB) maker { return fileMaker{open(tb, directory(tb))} }

type fileMaker struct{ *store.Store }

// NewGauge takes no mode, as client_golang's does not.
func (m fileMaker) NewGauge(o prometheus.GaugeOpts) prometheus.Gauge { return m.Store.NewGauge(o) }

// open opens a store for as long as the test lasts.
func open(tb testing.TB, dir string) *store.Store {
	tb.Helper()
	s, err := store.Open(store.Opts{Location: dir})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// directory makes a directory in memory, where live files belong, for as long as the test lasts.
func directory(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp(memoryDir(), "mpmetrics-bench-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func memoryDir() string {
	if dir := os.Getenv(dirEnv); dir != "" {
		return dir
	}
	return sharedMemory()
}
