package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/store"
)

// Shapes of what the Go and process collectors of client_golang show: themselves, which are not ours, and as many
// instruments of ours.
const (
	goShape    = "go"
	cellsShape = "cells"
)

func registerGo(r prometheus.Registerer) {
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// fillLikeGo makes an instrument of ours for each series of the Go and process collectors.
func fillLikeGo(s *store.Store) error {
	registry := prometheus.NewRegistry()
	registerGo(registry)
	families, err := registry.Gather()
	for _, f := range families {
		labels, values := []string{}, []string{}
		for _, l := range f.Metric[0].Label {
			labels, values = append(labels, l.GetName()), append(values, l.GetValue())
		}
		switch f.GetType() {
		case dto.MetricType_COUNTER:
			s.NewCounterVec(prometheus.CounterOpts{Name: f.GetName(), Help: f.GetHelp()}, labels).WithLabelValues(values...).Inc()
		case dto.MetricType_SUMMARY:
			s.NewSummaryVec(prometheus.SummaryOpts{Name: f.GetName(), Help: f.GetHelp()}, labels).WithLabelValues(values...).Observe(1)
		default:
			s.NewGaugeVec(prometheus.GaugeOpts{Name: f.GetName(), Help: f.GetHelp()}, labels).WithLabelValues(values...).Set(1)
		}
	}
	return err
}

// BenchmarkScrapeMirrored collects what the Go and process collectors of 64 processes show, and beside it what those
// of one process show in a plain registry. What mirroring costs a scrape is the difference to as many instruments of
// ours.
func BenchmarkScrapeMirrored(b *testing.B) {
	for _, shape := range []string{goShape, cellsShape} {
		b.Run("shape="+shape+"/procs=64", func(b *testing.B) { scrapeGo(b, shape) })
	}
}

func scrapeGo(b *testing.B, shape string) {
	dir := directory(b)
	spawn(b, dir, shape, 64)
	pair(b, func(b *testing.B) {
		registry := prometheus.NewRegistry()
		registerGo(registry)
		for b.Loop() {
			scrape(b, registry)
		}
	}, func(b *testing.B) { scrapeMerged(b, dir) })
}

// BenchmarkFlush mirrors collectors of which nothing has changed since the last time: 1000 counters and 100 histograms
// of a few collectors; 1000 counters of promauto, each a collector of its own; 100,000 series of a vec, of which 99,000
// find no room.
func BenchmarkFlush(b *testing.B) {
	for _, c := range []struct {
		name string
		fill func(promauto.Factory)
	}{
		{"changed=0", func(r promauto.Factory) {
			for _, shape := range []string{"counters", "histograms"} {
				fill[shape](r)
			}
		}},
		{"collectors=1000", func(r promauto.Factory) {
			for n := range 1000 {
				r.NewCounter(prometheus.CounterOpts{Name: fmt.Sprintf("c%d_total", n), Help: "A counter."}).Inc()
			}
		}},
		{"beyond=99000", func(r promauto.Factory) {
			vec := r.NewCounterVec(prometheus.CounterOpts{Name: "large_total", Help: "Too many."}, []string{"l"})
			const long = 1000 // bytes, so that a thousand series have room
			for n := range 100_000 {
				vec.WithLabelValues(fmt.Sprintf("%0*d", long, n)).Inc()
			}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			alone(b, func(b *testing.B) {
				s, err := store.Open(store.Opts{Location: directory(b), FlushInterval: time.Hour})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { _ = s.Close() })
				c.fill(promauto.With(s.Registerer()))
				for range 4 { // a flush does not wait for a collector whose last look was slow, and the first looks are
					_ = s.Flush(context.Background())
					time.Sleep(300 * time.Millisecond)
				}
				for b.Loop() {
					_ = s.Flush(context.Background())
				}
			})
		})
	}
}
