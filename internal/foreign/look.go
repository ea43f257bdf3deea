package foreign

import (
	"cmp"
	"errors"
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
		switch free, isSlow := g.claim(patience); {
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

// lookLast takes a look that begins after the call. lookLast waits for at most patience, also for
// an earlier look to end.
func (g *guard) lookLast(patience time.Duration) {
	const pause = time.Millisecond
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(pause) {
		if free, _ := g.claim(patience); free {
			newLook(g).wait(time.Until(deadline))
			return
		}
	}
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
	current *collection            // that the writer writes to; no look is running when it changes
	metrics chan prometheus.Metric // to the writer; a mark ends the metrics of one collector
	written chan error             // from the writer: some metric could not be written
}

// mark is a metric that no collector can send.
type mark struct{ prometheus.Metric }

var (
	endOfLook prometheus.Metric = &mark{} // Collect returned
	cutShort  prometheus.Metric = &mark{} // Collect did not return
)

func newLooker(l *look) *looker {
	return &looker{look: l, metrics: make(chan prometheus.Metric, metricsAhead), written: make(chan error)}
}

func (l *looker) start() {
	go l.write(nil, false)
	go l.run()
}

// run is step 1.
func (l *looker) run() {
	var g *guard // guard of the running look
	var begin time.Time
	finish := func(how prometheus.Metric, err error) {
		l.metrics <- how
		unwritten := <-l.written
		g.release(how == endOfLook, cmp.Or(err, unwritten), time.Since(begin))
		l.look.returned <- struct{}{}
	}
	defer func() {
		if g != nil { // Collect has ended the goroutine
			finish(cutShort, errEnded)
			go l.run()
		}
	}()
	for g = l.look.take(); g != nil; g = l.look.take() {
		begin = time.Now()
		l.current = g.collection
		l.current.begin()
		if err := recovered(func() { g.collector.Collect(l.metrics) }); err != nil {
			finish(cutShort, err)
			continue
		}
		finish(endOfLook, nil)
	}
	close(l.metrics)
}

// write is step 2. failed is the error of a metric of the running look, and ending is set at the
// end of the look: a metric may have ended the goroutine. A metric with a failed write is dropped.
func (l *looker) write(failed error, ending bool) {
	ended := true
	defer func() {
		if ended {
			l.current.lost = true
			go l.write(cmp.Or(failed, errEnded), ending)
		}
	}()
	try := func(do func() error) { failed = cmp.Or(failed, l.try(do)) }
	for {
		if ending {
			l.current.end(try)
			l.written <- failed
			failed, ending = nil, false
		}
		m, more := <-l.metrics
		switch {
		case !more:
			ended = false
			return
		case m == endOfLook:
			ending = true
		case m == cutShort:
			l.written <- failed
			failed = nil
		default:
			failed = cmp.Or(failed, l.note(m))
		}
	}
}

// note notes a metric. A panic of the metric is an error.
func (l *looker) note(m prometheus.Metric) (err error) {
	defer l.survive(&err)
	return l.current.note(m)
}

// try is note for other uses of foreign code.
func (l *looker) try(do func() error) (err error) {
	defer l.survive(&err)
	return do()
}

func (l *looker) survive(err *error) {
	if v := recover(); v != nil {
		l.current.lost, *err = true, errPanicked{v}
	}
}
