package main

import (
	"fmt"
	"io"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/common/expfmt"

	"github.com/mpmetrics/mpmetrics/collector"
)

// BenchmarkScrape collects, merges and encodes what real processes count, in one that counts nothing itself. Beside
// it is one plain registry that holds the same series once.
func BenchmarkScrape(b *testing.B) {
	for _, s := range []struct {
		shape     string
		processes int
	}{
		{"counters", 4},
		{"counters", 64},
		{"counters", 256},
		{"histograms", 64},
		{"counters100", 16},
		{"counters", 16},
		{"counters10000", 16},
	} {
		b.Run(fmt.Sprintf("shape=%s/procs=%d", s.shape, s.processes), func(b *testing.B) {
			dir := directory(b)
			spawn(b, dir, s.shape, s.processes)
			pair(b, func(b *testing.B) { scrapePlain(b, s.shape) }, func(b *testing.B) { scrapeMerged(b, dir) })
		})
	}
}

// BenchmarkScrapeDead has a thousand dead processes in the directory too, which had ten series each.
func BenchmarkScrapeDead(b *testing.B) {
	b.Run("procs=4/dead=1000", func(b *testing.B) {
		dir := directory(b)
		spawn(b, dir, "counters", 4)
		leaveDead(b, dir, 1000, 10)
		pair(b, func(b *testing.B) { scrapePlain(b, "counters") }, func(b *testing.B) { scrapeMerged(b, dir) })
	})
}

// BenchmarkFirstScrape is that of a collector that has seen nothing yet: it reads all logs from their beginning.
func BenchmarkFirstScrape(b *testing.B) {
	b.Run("procs=64", func(b *testing.B) {
		dir := directory(b)
		spawn(b, dir, "counters", 64)
		alone(b, func(b *testing.B) {
			for b.Loop() {
				registry := prometheus.NewRegistry()
				c := collector.New(collector.Opts{Location: dir})
				registry.MustRegister(c)
				scrape(b, registry)
				_ = c.Close()
			}
		})
	})
}

func scrapePlain(b *testing.B, shape string) {
	registry := prometheus.NewRegistry()
	fill[shape](promauto.With(registry))
	for b.Loop() {
		scrape(b, registry)
	}
}

func scrapeMerged(b *testing.B, dir string) {
	registry := prometheus.NewRegistry()
	// Absorbing would change what is measured meanwhile; see BenchmarkAbsorb.
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true})
	b.Cleanup(func() { _ = c.Close() })
	registry.MustRegister(c)
	scrape(b, registry) // the first one reads the logs
	for b.Loop() {
		scrape(b, registry)
	}
}

func scrape(b *testing.B, g prometheus.Gatherer) {
	families, err := g.Gather()
	if err != nil {
		b.Fatal(err)
	}
	enc := expfmt.NewEncoder(io.Discard, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := enc.Encode(f); err != nil {
			b.Fatal(err)
		}
	}
}
