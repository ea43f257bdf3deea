package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// childEnv makes this program a process that counts: its value names the shape of what it counts.
const childEnv = "MPMETRICS_BENCH_CHILD"

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

// child counts into $MPMETRICS_DIR, says that it has, and stays until its parent lets go of its input.
func child(shape string) error {
	if program := programs[shape]; program != nil {
		return program()
	}
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
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	var leave, left []func() error
	b.Cleanup(func() {
		// First all, then all: a program with the race detector takes a second to end.
		for _, f := range slices.Concat(leave, left) {
			_ = f()
		}
	})
	ready := make([]*bufio.Reader, min(processes, *atMost))
	for i := range ready {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), childEnv+"="+shape, store.EnvDir+"="+dir, "GOMAXPROCS=1")
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		leave, left = append(leave, in.Close), append(left, cmd.Wait)
		ready[i] = bufio.NewReader(out)
	}
	for _, r := range ready {
		if line, err := r.ReadString('\n'); err != nil {
			b.Fatalf("process that counts: %q: %v", line, err)
		}
	}
}
