package main

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/store"
)

// goShape is what the Go and process collectors of client_golang show: collectors that are not ours.
const goShape = "go"

func registerGo(r prometheus.Registerer) {
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// BenchmarkScrapeMirrored collects what the Go and process collectors of 64 processes show, and beside it what those
// of one process show in a plain registry.
func BenchmarkScrapeMirrored(b *testing.B) {
	b.Run("procs=64", func(b *testing.B) {
		dir := directory(b)
		spawn(b, dir, goShape, 64)
		pair(b, func(b *testing.B) {
			registry := prometheus.NewRegistry()
			registerGo(registry)
			for b.Loop() {
				scrape(b, registry)
			}
		}, func(b *testing.B) { scrapeMerged(b, dir) })
	})
}

// BenchmarkFlush mirrors 1000 counters and 100 histograms, of which nothing has changed since the last time.
func BenchmarkFlush(b *testing.B) {
	b.Run("changed=0", func(b *testing.B) {
		alone(b, func(b *testing.B) {
			s, err := store.Open(store.Opts{Location: directory(b), FlushInterval: time.Hour})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = s.Close() })
			for _, shape := range []string{"counters", "histograms"} {
				fill[shape](promauto.With(s.Registerer()))
			}
			s.Flush()
			for b.Loop() {
				s.Flush()
			}
		})
	})
}
