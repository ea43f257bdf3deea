package store_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// A process shows as many goroutines as a plain registry shows, however many collectors are beside
// the Go collector: a leak is found by go_goroutines.
func TestGoroutinesAreThoseOfAPlainRegistry(t *testing.T) {
	for _, beside := range []int{0, 20, 1000} {
		t.Run(fmt.Sprint("beside=", beside), func(t *testing.T) {
			dir := inMemory(t)
			s := quiet(t, dir)
			plain := prometheus.NewRegistry()
			for _, r := range []prometheus.Registerer{s.Registerer(), plain} {
				for n := range beside / 2 {
					r.MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: fmt.Sprintf("c%d_total", n), Help: "h"}))
				}
				r.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsAll)))
				for n := range beside / 2 {
					r.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: fmt.Sprintf("g%d", n), Help: "h"}))
				}
			}
			want := merged(plain)
			for range 3 {
				_ = s.Flush(t.Context())
				got := mergedOf(t, dir)
				for _, name := range []string{"go_goroutines", "go_sched_goroutines_goroutines"} {
					// A busy machine may let some further lookers start, never one for each collector.
					if more := got[name] - want[name]; math.Abs(more) > 20 || got[name] == 0 {
						t.Errorf("%s is %v, in a plain registry %v", name, got[name], want[name])
					}
				}
			}
		})
	}
}
