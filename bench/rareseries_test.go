package main

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/store"
)

// BenchmarkRareNewSeries makes bursts of new series, and reports what only one series of a thousand takes longer than:
// room in the file is made meanwhile, and a series may wait for it. An operation is one series.
func BenchmarkRareNewSeries(b *testing.B) {
	for _, burst := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("burst=%d/step=make", burst), func(b *testing.B) { rare(b, burst, makeAll) })
		b.Run(fmt.Sprintf("burst=%d/step=look up", burst), func(b *testing.B) { rare(b, burst, lookUp) })
	}
}

// makeAll makes new series.
func makeAll(vec *prometheus.CounterVec, values []string, all *latencies) {
	for _, v := range values {
		begin := time.Now()
		vec.WithLabelValues(v)
		all.note(time.Since(begin))
	}
}

// lookUp looks up a series that exists, while another goroutine makes new ones in the same vec.
func lookUp(vec *prometheus.CounterVec, values []string, all *latencies) {
	vec.WithLabelValues("there")
	var ended atomic.Bool
	go func() {
		defer ended.Store(true)
		for _, v := range values {
			vec.WithLabelValues(v)
		}
	}()
	for !ended.Load() {
		begin := time.Now()
		vec.WithLabelValues("there")
		all.note(time.Since(begin))
	}
}

func rare(b *testing.B, burst int, do func(*prometheus.CounterVec, []string, *latencies)) {
	values := labelValues(burst)
	run := func(fresh func() (maker, func())) func(*testing.B) {
		return func(b *testing.B) {
			var all latencies
			for done := 0; done < b.N; done += burst {
				b.StopTimer()
				m, end := fresh()
				vec := m.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"path"})
				b.StartTimer()
				do(vec, values[:min(burst, b.N-done)], &all)
				b.StopTimer()
				end()
			}
			b.ReportMetric(float64(all.quantile(0.999)), "p99.9-ns")
		}
	}
	pair(b,
		run(func() (maker, func()) { return promauto.With(prometheus.NewRegistry()), func() {} }),
		run(func() (maker, func()) {
			s, err := store.Open(store.Opts{Location: directory(b)})
			if err != nil {
				b.Fatal(err)
			}
			return fileMaker{s}, func() { _ = s.Close() }
		}))
}
