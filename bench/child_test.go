package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

// fill defines the metrics of a shape and gives every series a value.
var fill = map[string]func(maker){
	"counters":       func(m maker) { counters(m, 1000) },
	"counters100":    func(m maker) { counters(m, 100) },
	"counters10000":  func(m maker) { counters(m, 10_000) },
	"counters100000": func(m maker) { counters(m, 100_000) },
	"histograms":     histograms,
}

func counters(m maker, n int) {
	v := m.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"path"})
	for _, value := range labelValues(n) {
		v.WithLabelValues(value).Inc()
	}
}

func histograms(m maker) {
	v := m.NewHistogramVec(prometheus.HistogramOpts{
		Name: "duration_seconds", Help: "Durations.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 10),
	}, []string{"path"})
	for i, value := range labelValues(100) {
		v.WithLabelValues(value).Observe(float64(i) / 1000)
	}
}

// shape is the program of a shape.
func shape(name string) func([]string) error { return func([]string) error { return child(name) } }

// child counts into $MPMETRICS_DIR, says that it has, and stays until its parent lets go of its input.
func child(shape string) error {
	s, err := store.Open(store.Opts{})
	if err != nil {
		return err
	}
	switch shape {
	case goShape:
		registerGo(s.Registerer())
		_ = s.Flush(context.Background())
	case cellsShape:
		if err := fillLikeGo(s); err != nil {
			return err
		}
	default:
		fill[shape](fileMaker{s})
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// spawn starts so many processes that count into dir, and returns when all have.
func spawn(b *testing.B, dir, shape string, processes int) {
	b.Helper()
	children := make([]*reexec.Process, min(processes, *atMost))
	for i := range children {
		cmd := reexec.Command(shape)
		cmd.Env = append(cmd.Env, store.EnvDir+"="+dir, "GOMAXPROCS=1")
		children[i] = reexec.Run(b, cmd)
	}
	for _, c := range children {
		c.Line() // it has counted
	}
}
