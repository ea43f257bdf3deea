package foreign

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// collect is a collector that does what its function does.
type collect func(ch chan<- prometheus.Metric)

func (c collect) Describe(ch chan<- *prometheus.Desc) {}
func (c collect) Collect(ch chan<- prometheus.Metric) { c(ch) }

func constant(name string, v float64) prometheus.Metric {
	return prometheus.MustNewConstMetric(prometheus.NewDesc(name, "h", nil, nil), prometheus.GaugeValue, v)
}

func guardsOf(all ...prometheus.Collector) (guards []*guard) {
	for _, c := range all {
		guards = append(guards, newGuard(c))
	}
	return guards
}

// shownBy returns how many series the look that ended last has met, and the error of the look.
func shownBy(g *guard) (series int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.busy && g.whole {
		for _, p := range g.collection.parts {
			series += len(p.records)
		}
	}
	return series, g.failed
}

// A collector does not see the collectors beside it: go_goroutines is that of a plain registry,
// give or take the goroutines of a few lookers.
func TestLookDoesNotChangeTheNumberOfGoroutines(t *testing.T) {
	for _, beside := range []int{0, 20, 1000} {
		t.Run(fmt.Sprint("beside=", beside), func(t *testing.T) {
			var all []prometheus.Collector
			var seen atomic.Int64
			count := collect(func(ch chan<- prometheus.Metric) { seen.Store(int64(runtime.NumGoroutine())) })
			for n := range beside {
				if n == beside/2 {
					all = append(all, count, collectors.NewGoCollector())
				}
				all = append(all, prometheus.NewCounter(prometheus.CounterOpts{Name: fmt.Sprintf("c%d_total", n), Help: "h"}))
			}
			guards := guardsOf(append(all, count)...)
			for range 3 {
				before := runtime.NumGoroutine()
				if slow := lookAt(guards, time.Minute); slow != 0 {
					t.Fatalf("%d collectors are slow", slow)
				}
				// A busy machine may let some further lookers start, never one for each collector.
				if n := int(seen.Load()) - before; n > 20 {
					t.Errorf("%d goroutines more than before the look", n)
				}
			}
		})
	}
}

// Whatever a collector does, the metrics of the others are there, and a collector that
// recovers is shown again.
func TestLookSurvivesEveryCollector(t *testing.T) {
	release := make(chan struct{})
	var healed atomic.Bool
	unless := func(do func(ch chan<- prometheus.Metric)) prometheus.Collector {
		return collect(func(ch chan<- prometheus.Metric) {
			if healed.Load() {
				ch <- constant("healed", 1)
				return
			}
			do(ch)
		})
	}
	fine := func(name string) prometheus.Collector {
		return collect(func(ch chan<- prometheus.Metric) { ch <- constant(name, 1) })
	}
	broken := []struct {
		name   string
		do     func(ch chan<- prometheus.Metric)
		shown  int
		failed bool
		slow   bool
	}{
		{name: "panics", do: func(ch chan<- prometheus.Metric) { ch <- constant("a", 1); panic("p") }, failed: true},
		{name: "ends its goroutine", do: func(ch chan<- prometheus.Metric) { ch <- constant("a", 1); runtime.Goexit() }, failed: true},
		{name: "sends nil", do: func(ch chan<- prometheus.Metric) { ch <- nil; ch <- constant("a", 1) }, shown: 1, failed: true},
		{name: "metric panics", do: func(ch chan<- prometheus.Metric) {
			ch <- constant("a", 1)
			ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(errors.New("x")), errors.New("invalid"))
		}, shown: 1, failed: true},
		{name: "metric ends the goroutine of its writer", do: func(ch chan<- prometheus.Metric) {
			ch <- constant("a", 1)
			ch <- prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "g", Help: "h"}, func() float64 { runtime.Goexit(); return 0 })
		}, shown: 1, failed: true},
		{name: "hangs", do: func(ch chan<- prometheus.Metric) { <-release }, slow: true},
		{name: "metric hangs", do: func(ch chan<- prometheus.Metric) {
			ch <- prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "g", Help: "h"}, func() float64 { <-release; return 0 })
		}, slow: true},
		{name: "sends more than the buffer holds", do: func(ch chan<- prometheus.Metric) {
			for n := range 3 * metricsAhead {
				ch <- constant(fmt.Sprintf("m%d", n), 1)
			}
		}, shown: 3 * metricsAhead},
	}
	var all []prometheus.Collector
	for n, b := range broken {
		all = append(all, fine(fmt.Sprintf("before%d", n)), unless(b.do))
	}
	guards := guardsOf(append(all, fine("last"))...)
	wantSlow := 0
	for _, b := range broken {
		if b.slow {
			wantSlow++
		}
	}
	for round := range 3 {
		if slow := lookAt(guards, 5*time.Second/2); slow != wantSlow {
			t.Errorf("round %d: %d collectors are slow, want %d", round, slow, wantSlow)
		}
		for n, b := range broken {
			if shown, err := shownBy(guards[2*n]); shown != 1 || err != nil {
				t.Errorf("round %d: before the one that %s: %d metrics, error %v", round, b.name, shown, err)
			}
			if shown, err := shownBy(guards[2*n+1]); shown != b.shown || (err != nil) != b.failed {
				t.Errorf("round %d: the one that %s: %d metrics, error %v, want %d, an error: %v", round, b.name, shown, err, b.shown, b.failed)
			}
		}
		if shown, err := shownBy(guards[len(guards)-1]); shown != 1 || err != nil {
			t.Errorf("round %d: the last: %d metrics, error %v", round, shown, err)
		}
	}
	healed.Store(true)
	close(release)
	deadline := time.Now().Add(10 * time.Second)
	for _, g := range guards {
		for shown, err := shownBy(g); shown != 1 || err != nil; shown, err = shownBy(g) {
			if time.Now().After(deadline) {
				t.Fatalf("a collector that recovered shows %d metrics, error %v", shown, err)
			}
			lookAt(guards, time.Second)
		}
	}
}

// Hanging collectors do not use up the time of the others.
func TestLookPassesManyThatHang(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	var all []prometheus.Collector
	const hanging = 100
	for range hanging {
		all = append(all, collect(func(ch chan<- prometheus.Metric) { <-release }))
	}
	guards := guardsOf(append(all, collect(func(ch chan<- prometheus.Metric) { ch <- constant("fine", 1) }))...)
	if slow := lookAt(guards, 2*time.Second); slow != hanging {
		t.Errorf("%d collectors are slow, want %d", slow, hanging)
	}
	if shown, err := shownBy(guards[hanging]); shown != 1 || err != nil {
		t.Errorf("%d metrics, error %v", shown, err)
	}
	begin := time.Now()
	if slow := lookAt(guards, 2*time.Second); slow != hanging {
		t.Errorf("again: %d collectors are slow, want %d", slow, hanging)
	}
	if took := time.Since(begin); took >= 2*time.Second {
		t.Errorf("the second look waits %v for collectors that had their chance", took)
	}
}

// BenchmarkLook looks at a thousand counters, each a collector of its own, as promauto makes
// them.
func BenchmarkLook(b *testing.B) {
	var all []prometheus.Collector
	for n := range 1000 {
		all = append(all, prometheus.NewCounter(prometheus.CounterOpts{Name: fmt.Sprintf("c%d_total", n), Help: "h"}))
	}
	guards := guardsOf(all...)
	b.ReportAllocs()
	for b.Loop() {
		if slow := lookAt(guards, time.Minute); slow != 0 {
			b.Fatalf("%d collectors are slow", slow)
		}
	}
}

// The last look at a collector begins after an earlier look has ended, and its metrics are taken.
// A collector that hangs does not hold its unregistering up for ever.
func TestLastLook(t *testing.T) {
	w := newWorld(t)
	w.m.patience = 10 * time.Millisecond
	var v atomic.Int64
	v.Store(1)
	running, release := make(chan struct{}), make(chan struct{})
	hang := atomic.Bool{}
	c := collect(func(ch chan<- prometheus.Metric) {
		if hang.Load() {
			close(running)
			<-release
			hang.Store(false)
		}
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc("c_total", "h", nil, nil), prometheus.CounterValue, float64(v.Load()))
	})
	w.add(c)
	w.flush()
	hang.Store(true)
	w.flush()
	<-running
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	v.Store(2)
	w.m.Remove(c)
	if got := w.values(); got["c_total"] != 2 {
		t.Errorf("%v, want the 2 of the last look", got)
	}
	begin, end := time.Now(), make(chan struct{})
	defer close(end)
	guardsOf(collect(func(chan<- prometheus.Metric) { <-end }))[0].lookLast(20 * time.Millisecond)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the last look at a collector that hangs takes %v", took)
	}
}
