package store

import (
	"runtime"
	"time"
)

// The first use of a metric of package level opens the default store, and may happen in a bubble of
// testing/synctest. A goroutine that is started in a bubble belongs to the bubble, as a channel and a
// timer do, and the bubble cannot end before its goroutines. The background work of a store goes on
// for longer than a test. So the default store is opened outside of the bubble.

// began is when the program began.
var began = time.Now()

// inBubble reports whether the caller is in a bubble. Package synctest lets no other package ask. But
// outside of a bubble the monotonic clock never goes back, and the clock of a bubble begins in the
// year 2000.
func inBubble() bool { return time.Since(began) < 0 }

// outsideDone is older than every bubble.
var outsideDone = make(chan struct{})

// outside does work that starts goroutines, and waits for the end of the work. The caller holds
// defaultMu. In a bubble a cleanup of the runtime starts the goroutine that works: package synctest
// documents that cleanups run outside of bubbles.
func outside(work func()) {
	if !inBubble() {
		work()
		return
	}
	addCleanup(func() {
		go func() {
			work()
			outsideDone <- struct{}{}
		}()
	})
	for {
		runtime.GC()
		for range 1000 {
			select {
			case <-outsideDone:
				return
			default:
				runtime.Gosched()
			}
		}
	}
}

// addCleanup runs do after the next collection of garbage.
//
//go:noinline
func addCleanup(do func()) {
	garbage := new([]byte)
	runtime.AddCleanup(garbage, func(do func()) { do() }, do)
}
