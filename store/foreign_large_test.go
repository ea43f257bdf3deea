package store_test

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Beside a collector of far more series than have room, each flush mirrors the counter of another
// collector, and so does Close. The process keeps no more than the series with room.
func TestLargeCollectorHurtsNoOther(t *testing.T) {
	for _, c := range []struct {
		name   string
		series int
		wrap   func(prometheus.Collector) prometheus.Collector
	}{
		{name: "plain", series: 100_000, wrap: func(c prometheus.Collector) prometheus.Collector { return c }},
		{name: "wrapped", series: 40_000, wrap: func(c prometheus.Collector) prometheus.Collector {
			return prometheus.WrapCollectorWithPrefix("app_", c)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := inMemory(t)
			s := quiet(t, dir)
			small := promauto.With(s.Registerer()).NewCounter(prometheus.CounterOpts{Name: "small_total", Help: "h"})
			large := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "large_total", Help: "h"}, []string{"l"})
			for i := range c.series {
				large.WithLabelValues(strconv.Itoa(i)).Inc()
			}
			before := heapBytes()
			s.Registerer().MustRegister(c.wrap(large))
			for n := range 3 {
				small.Inc()
				if err := s.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := mergedOf(t, dir)["small_total"]; got != float64(n+1) {
					t.Errorf("after %d flushes the small counter is %v", n+1, got)
				}
			}
			const room, each = 25_000, 1 << 10 // series of the shortest labels have room, and take bytes
			if more := heapBytes() - before; more > room*each {
				t.Errorf("the mirror takes %d bytes, at most %d", more, room*each)
			}
			small.Inc()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if got := mergedOf(t, dir)["small_total"]; got != 4 {
				t.Errorf("after Close the small counter is %v, want 4", got)
			}
			runtime.KeepAlive(large)
		})
	}
}

// heapBytes returns the bytes on the heap after a garbage collection.
func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
