package foreign

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// guard stands between a registry and a foreign collector. If a collector hangs or panics, the
// guard shows the last metrics of the collector, and all other collectors go on.
type guard struct {
	collector prometheus.Collector
	id        string // identity of the collector
	names     string // the families of the collector, for an error

	mu     sync.Mutex
	busy   bool                // a look at the collector is running
	last   []prometheus.Metric // of the last look with a return of Collect
	failed error               // error of the last look; last may still have metrics
	took   time.Duration       // of the last look
}

// claim reserves the guard for a look, unless an earlier look is still running. slow reports
// whether the last look took longer than a flush waits.
func (g *guard) claim() (free, slow bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy {
		return false, true
	}
	g.busy = true
	return true, g.took > collectorPatience
}

// abandon gives a claim back without a look.
func (g *guard) abandon() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy = false
}

// release ends a look with its result. returned reports whether the collector returned.
func (g *guard) release(metrics []prometheus.Metric, returned bool, err error, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy, g.failed, g.took = false, err, took
	if returned {
		g.last = metrics
	}
}

// errPanicked is the error of a panic in foreign code.
type errPanicked struct{ value any }

func (e errPanicked) Error() string { return fmt.Sprintf("collector panicked: %v", e.value) }

func recovered(f func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errPanicked{v}
		}
	}()
	f()
	return nil
}

// Describe implements prometheus.Collector.
func (g *guard) Describe(ch chan<- *prometheus.Desc) { g.collector.Describe(ch) }

// Collect implements prometheus.Collector, and sends the last metrics of the collector.
func (g *guard) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	last := g.last
	g.mu.Unlock()
	for _, m := range last {
		ch <- m
	}
}

// static is a copy of a written metric.
type static struct {
	desc   *prometheus.Desc
	metric dto.Metric
}

// Desc implements prometheus.Metric.
func (w *static) Desc() *prometheus.Desc { return w.desc }

// Write implements prometheus.Metric.
func (w *static) Write(out *dto.Metric) error {
	m := &w.metric
	out.Label, out.TimestampMs = m.Label, m.TimestampMs
	out.Counter, out.Gauge, out.Untyped, out.Summary, out.Histogram = m.Counter, m.Gauge, m.Untyped, m.Summary, m.Histogram
	return nil
}
