package foreign

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A look gathers the collectors one after the other, as client_golang does, because a collector may
// count goroutines. A look has two goroutines:
//
//  1. The looker calls Collect of one collector after the other.
//  2. The writer writes the metrics down, because writing a metric later could panic.
//
// If a collector takes longer than stallAtMost, a second looker with its own writer goes on with
// the rest, and so on: only the lookers of slow collectors are left. Such a looker ends when its
// collector returns.

const (
	// stallAtMost is how long a look waits for one collector before another looker goes on with the
	// rest. stallAtLeast is the wait after many lookers have stalled.
	stallAtMost  = 16 * time.Millisecond
	stallAtLeast = time.Millisecond

	// metricsAhead is the buffer between a looker and its writer: without a buffer each
	// metric would cost two switches of goroutines.
	metricsAhead = 256
)

// errEnded is the error of a collector, or of a metric, that ended the calling goroutine.
var errEnded = errors.New("collector ended its goroutine")

// look is one pass over collectors.
type look struct {
	mu    sync.Mutex
	queue []*guard // collectors without a looker yet

	returned chan struct{} // one element for each return of a collector
}

// lookAt runs all collectors, and waits for at most patience. lookAt returns the number of running
// collectors.
func lookAt(guards []*guard, patience time.Duration) (slow int) {
	var prompt, known []*guard
	for _, g := range guards {
		switch free, isSlow := g.claim(); {
		case !free:
			slow++
		case isSlow:
			slow++
			known = append(known, g)
		default:
			prompt = append(prompt, g)
		}
	}
	// The flush does not wait for a collector that was slow the last time.
	for _, g := range known {
		newLook(g).start()
	}
	if len(prompt) == 0 {
		return slow
	}
	return slow + newLook(prompt...).wait(patience)
}

func newLook(guards ...*guard) *look {
	return &look{queue: guards, returned: make(chan struct{}, len(guards))}
}

// start starts a looker.
func (l *look) start() { newLooker(l).start() }

// wait starts a look, and waits until all collectors have returned, or patience is over. wait
// returns the number of running collectors.
func (l *look) wait(patience time.Duration) (slow int) {
	left, pause := len(l.queue), stallAtMost
	l.start()
	over := time.NewTimer(patience)
	defer over.Stop()
	stall := time.NewTimer(pause)
	defer stall.Stop()
	for left > 0 {
		select {
		case <-l.returned:
			left--
			stall.Reset(pause)
		case <-stall.C:
			pause = max(pause/2, stallAtLeast)
			if l.waiting() {
				l.start()
			}
			stall.Reset(pause)
		case <-over.C:
			for g := l.take(); g != nil; g = l.take() {
				g.abandon() // the next flush looks at the collector
			}
			return left
		}
	}
	return 0
}

// waiting reports whether a collector waits for a looker.
func (l *look) waiting() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) > 0
}

// take returns the next collector, nil if there is none.
func (l *look) take() (g *guard) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) > 0 {
		g, l.queue = l.queue[0], l.queue[1:]
	}
	return g
}

// looker calls Collect of one collector after the other.
type looker struct {
	look    *look
	metrics chan prometheus.Metric // to the writer; endOfLook ends the metrics of one collector
	written chan written           // from the writer
}

// endOfLook is a metric that no collector can send.
var endOfLook prometheus.Metric = &static{}

// written are the metrics of one collector.
type written struct {
	metrics []prometheus.Metric
	err     error // some metric could not be written
}

func newLooker(l *look) *looker {
	return &looker{look: l, metrics: make(chan prometheus.Metric, metricsAhead), written: make(chan written)}
}

func (l *looker) start() {
	go l.write(written{})
	go l.run()
}

// run is step 1.
func (l *looker) run() {
	var g *guard // guard of the running look
	var begin time.Time
	defer func() {
		if g != nil { // Collect has ended the goroutine
			l.metrics <- endOfLook
			<-l.written
			l.finish(g, nil, false, errEnded, begin)
			go l.run()
		}
	}()
	for g = l.look.take(); g != nil; g = l.look.take() {
		begin = time.Now()
		panicked := recovered(func() { g.collector.Collect(l.metrics) })
		l.metrics <- endOfLook
		w := <-l.written
		if panicked != nil {
			l.finish(g, nil, false, panicked, begin)
			continue
		}
		l.finish(g, w.metrics, true, w.err, begin)
	}
	close(l.metrics)
}

func (l *looker) finish(g *guard, metrics []prometheus.Metric, returned bool, err error, begin time.Time) {
	g.release(metrics, returned, err, time.Since(begin))
	l.look.returned <- struct{}{}
}

// write is step 2. w has the metrics before a metric that ended the goroutine. A metric with a
// failed write is dropped.
func (l *looker) write(w written) {
	ended := true
	defer func() {
		if ended {
			w.err = errEnded
			go l.write(w)
		}
	}()
	for m := range l.metrics {
		if m == endOfLook {
			l.written <- w
			w = written{}
			continue
		}
		s := &static{}
		var err error
		panicked := recovered(func() {
			s.desc = m.Desc()
			if s.desc == nil {
				err = errors.New("metric without a descriptor")
				return
			}
			err = m.Write(&s.metric)
		})
		if panicked != nil {
			err = panicked
		}
		if err != nil {
			if s.desc != nil {
				err = fmt.Errorf("family %s: %w", nameOf(s.desc), err)
			}
			w.err = err
			continue
		}
		w.metrics = append(w.metrics, s)
	}
	ended = false
}
