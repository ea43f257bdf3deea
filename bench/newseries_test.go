package main

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/store"
)

// burst is how many series are made before a new vec begins: without an end, the growth of one map and the garbage
// collector's work on it would be all that is measured.
const burst = 10_000

// BenchmarkNewSeries makes series that were not there before. An operation is one series.
func BenchmarkNewSeries(b *testing.B) {
	values := labelValues(burst)
	for _, goroutines := range []int{1, 1000} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			pair(b,
				func(b *testing.B) {
					bursts(b, values, goroutines, func() (maker, func()) {
						return promauto.With(prometheus.NewRegistry()), func() {}
					})
				},
				func(b *testing.B) {
					bursts(b, values, goroutines, func() (maker, func()) {
						s, err := store.Open(store.Opts{Location: directory(b)})
						if err != nil {
							b.Fatal(err)
						}
						return fileMaker{s}, func() { _ = s.Close() }
					})
				})
		})
	}
}

func bursts(b *testing.B, values []string, goroutines int, fresh func() (maker, func())) {
	for done := 0; done < b.N; done += burst {
		b.StopTimer()
		m, end := fresh()
		vec := m.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"path"})
		values := values[:min(burst, b.N-done)]
		if goroutines == 1 {
			b.StartTimer()
			for _, v := range values {
				vec.WithLabelValues(v)
			}
			b.StopTimer()
		} else {
			var all sync.WaitGroup
			start := make(chan struct{})
			for g := range goroutines {
				all.Go(func() {
					<-start
					for i := g; i < len(values); i += goroutines {
						vec.WithLabelValues(values[i])
					}
				})
			}
			b.StartTimer()
			close(start)
			all.Wait()
			b.StopTimer()
		}
		end()
	}
}

// labelValues are n values of a label, as long as the path of a request often is.
func labelValues(n int) []string {
	values := make([]string, n)
	for i := range values {
		values[i] = "/item/" + strconv.Itoa(i)
	}
	return values
}
