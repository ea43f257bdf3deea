package main

import (
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/common/expfmt"

	"github.com/mpmetrics/mpmetrics/collector"
)

// BenchmarkSlowScrape is BenchmarkScrape with so many series that to make them takes longer than all rounds: these are
// in one run. It reports what the collector keeps on the heap, too, beside the length of the text.
func BenchmarkSlowScrape(b *testing.B) {
	const processes, atOnce = 64, 8
	b.Run(fmt.Sprintf("procs=%d", processes), func(b *testing.B) {
		dir := directory(b)
		for left := min(processes, *atMost); left > 0; left -= atOnce {
			spawn(b, dir, "counters100000", min(left, atOnce))
		}
		plain := prometheus.NewRegistry()
		fill["counters100000"](promauto.With(plain))
		length := textLength(b, plain)
		for range slowRounds {
			b.Run("lib=client_golang", func(b *testing.B) {
				for b.Loop() {
					scrape(b, plain)
				}
				b.ReportMetric(length, "output-B")
			})
		}
		plain = nil
		before := heap()
		registry := prometheus.NewRegistry()
		c := collector.New(collector.Opts{Location: dir, NoAbsorption: true})
		defer c.Close()
		registry.MustRegister(c)
		scrape(b, registry)
		kept := heap() - before
		for range slowRounds {
			b.Run("lib=mpmetrics", func(b *testing.B) {
				for b.Loop() {
					scrape(b, registry)
				}
				b.ReportMetric(kept, "output-B")
			})
		}
	})
}

// heap is what lives on the heap.
func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

type counting struct{ n float64 }

func (c *counting) Write(b []byte) (int, error) {
	c.n += float64(len(b))
	return len(b), nil
}

// textLength is how many bytes a scrape is.
func textLength(b *testing.B, g prometheus.Gatherer) float64 {
	b.Helper()
	families, err := g.Gather()
	if err != nil {
		b.Fatal(err)
	}
	var out counting
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(io.Writer(&out), f); err != nil {
			b.Fatal(err)
		}
	}
	return out.n
}
