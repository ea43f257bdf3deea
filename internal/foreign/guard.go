package foreign

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// guard stands between a registry and a foreign collector. The collector runs in a
// goroutine of its own: a collector that hangs or panics delays and harms no other
// collector. Meanwhile the guard shows the last metrics of the collector.
type guard struct {
	collector prometheus.Collector
	id        string // identity of the collector

	mu      sync.Mutex
	running chan struct{}       // closed when the collector has returned; nil: the collector does not run
	last    []prometheus.Metric // of the last run that returned
	failed  error               // of the last run that ended; some metrics may be there all the same

	late bool // the last flush waited for the collector in vain; guarded by Mirror.flushing
}

// start runs the collector unless it runs already, and returns a channel that is closed
// when the collector has returned.
func (g *guard) start() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running == nil {
		g.running = make(chan struct{})
		go g.run(g.running)
	}
	return g.running
}

func (g *guard) run(done chan struct{}) {
	metrics, returned, err := collectGuarded(g.collector)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failed = err
	if returned {
		g.last = metrics
	}
	g.running = nil
	close(done)
}

// collectGuarded returns the metrics of a collector, written down: a metric that is
// written later could panic then. Metrics that cannot be written are left out.
func collectGuarded(c prometheus.Collector) (metrics []prometheus.Metric, returned bool, err error) {
	ch := make(chan prometheus.Metric, 1000) // without a buffer each metric would cost two switches of goroutines
	ended := make(chan error, 1)
	go func() {
		defer close(ch)
		err := errors.New("collector ended its goroutine")
		defer func() { ended <- err }() // after runtime.Goexit too
		err = recovered(func() { c.Collect(ch) })
	}()
	for m := range ch {
		w := &static{}
		var writeErr error
		panicked := recovered(func() {
			w.desc = m.Desc()
			if w.desc == nil {
				writeErr = errors.New("metric without a descriptor")
				return
			}
			writeErr = m.Write(&w.metric)
		})
		if panicked != nil {
			writeErr = panicked
		}
		if writeErr != nil {
			err = writeErr
			continue
		}
		metrics = append(metrics, w)
	}
	if panicked := <-ended; panicked != nil {
		return nil, false, panicked
	}
	return metrics, true, err
}

// errPanicked says that foreign code panicked.
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

// Collect implements prometheus.Collector: it sends the last metrics of the collector.
func (g *guard) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	last := g.last
	g.mu.Unlock()
	for _, m := range last {
		ch <- m
	}
}

// wait waits for all collectors, at most for patience. wait returns how many are slow.
func wait(guards []*guard, patience time.Duration) (slow int) {
	running := make([]<-chan struct{}, len(guards))
	for i, g := range guards {
		running[i] = g.start()
	}
	over := time.NewTimer(patience)
	defer over.Stop()
	late := make(chan struct{})
	close(late)
	var passed <-chan struct{} // ready once patience is over
	for i, done := range running {
		give := passed
		if guards[i].late {
			give = late // the last flush waited for the collector in full
		}
		guards[i].late = false
		select {
		case <-done:
			continue
		default:
		}
		select {
		case <-done:
		case <-give:
			guards[i].late = true
			slow++
		case <-over.C:
			passed, guards[i].late = late, true
			slow++
		}
	}
	return slow
}

// static is a metric that was written down.
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
