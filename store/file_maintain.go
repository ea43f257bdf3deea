package store

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

const (
	// reopenTicks is how often a store without a file tries again: each try
	// may be a system call that waits for a slow disk.
	reopenTicks = 10

	// lateFor is how long increments on cells that were left are looked for.
	// They come from goroutines that were stopped between two instructions.
	lateFor = time.Minute
)

// moved is an instrument that left cells behind.
type moved struct {
	instrument drainer
	at         time.Time
}

// start begins the background work. All system calls happen there or in flush, none in
// an instrument.
func (b *fileBackend) start() {
	b.done, b.absorbed = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(b.absorbed)
		b.absorb()
	}()
	go func() {
		defer close(b.done)
		go b.warn()
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for ticks, grows := 0, true; ; {
			var wanted <-chan struct{}
			if p := b.part.Load(); p != nil && grows {
				wanted = p.Wanted()
			}
			ticked := false
			select {
			case <-b.stop:
				return
			case <-wanted:
			case <-ticker.C:
				ticks++
				ticked = true
			}
			// When there is no room, the next try is at the next tick: each new series
			// would be one otherwise.
			grows = b.maintain(ticked, ticks%reopenTicks == 0)
		}
	}()
}

// maintain is one turn of the background work. It reports whether room could be made.
func (b *fileBackend) maintain(ticked, again bool) (grows bool) {
	b.maintaining.Lock()
	defer b.maintaining.Unlock()
	if fork.Foreign(b.pid) {
		return true // the store is about to call forked, and open
	}
	if ticked {
		b.look()
		b.forgetGone()
		if again {
			b.reopen()
		}
	}
	if p := b.part.Load(); p != nil {
		return b.work(p)
	}
	return true
}

// work makes room, publishes what waits for it, and drains what was left
// behind. It reports whether room could be made.
func (b *fileBackend) work(p *ownerfile.File) bool {
	err := p.Grow()
	b.note(err)
	if errors.Is(err, ownerfile.ErrMoved) {
		b.abandon(p)
		return false
	}
	b.drain()
	b.release()
	// Should it fail, some cells are lost, and whoever counts meets the same.
	_ = p.Recycle(b.store.now(), restFor)
	// Should that fail, the log is as it was.
	if errors.Is(p.Rewrite(b.store.now()), ownerfile.ErrMoved) {
		b.abandon(p)
		return false
	}

	now := b.store.now()
	b.mu.Lock()
	pending := b.pending
	b.pending = nil
	b.mu.Unlock()
	for n, i := range pending {
		if !b.publish(i) {
			b.mu.Lock()
			b.pending = append(b.pending, pending[n:]...)
			b.mu.Unlock()
			break
		}
		if d, ok := i.(drainer); ok {
			b.moved = append(b.moved, moved{d, now})
		}
	}
	return err == nil
}

// drain moves on what came late to the cells that instruments have left.
func (b *fileBackend) drain() {
	now := b.store.now()
	b.moved = slices.DeleteFunc(b.moved, func(m moved) bool {
		if now.Sub(m.at) < lateFor {
			m.instrument.drain()
			return false
		}
		m.instrument.settle()
		return true
	})
}

// publishAll publishes all that waits in memory, as long as there is room. One round
// of work may only find out what is needed next, a slab for cells or for the
// log: after some rounds without any progress there is nothing more to be had.
func (b *fileBackend) publishAll(p *ownerfile.File) {
	const patience = 4
	for idle, before := 0, -1; idle < patience; idle++ {
		if !b.work(p) {
			return
		}
		b.mu.Lock()
		waiting := len(b.pending) + len(b.owed)
		b.mu.Unlock()
		if waiting == 0 {
			return
		}
		if waiting != before {
			idle, before = 0, waiting
		}
	}
}

// note keeps the reason why nothing can be published, and logs its changes. A
// log handler may block; making room must not wait for it.
func (b *fileBackend) note(err error) {
	b.mu.Lock()
	before := b.why
	b.why = err
	b.mu.Unlock()
	what, again := "new series are counted in memory", "new series are published again"
	if b.part.Load() == nil {
		what = "counting in memory until the directory can be used"
	}
	switch {
	case err != nil && before == nil:
		go b.store.opts.Logger.Error("mpmetrics: "+what, b.where(), "err", err)
	case err == nil && before != nil:
		go b.store.opts.Logger.Info("mpmetrics: "+again, b.where())
	}
}

// abandon leaves a file whose slabs are no longer where they were mapped: what
// is written on would land in pages that bbolt uses for something else. It is
// for good: a new file would hold again what the old one holds already.
func (b *fileBackend) abandon(p *ownerfile.File) {
	b.part.Store(nil)
	b.opened.Store(false)
	b.current = nil
	b.store.each(func(i instrument) { i.leave() })
	p.Close()
	b.abandoned = true
}

// reopen tries again to make a file, when there is none, and publishes into it
// what was counted in memory until now.
func (b *fileBackend) reopen() {
	if b.current != nil || b.abandoned {
		return
	}
	if b.openFile() != nil {
		return
	}
	go func() {
		b.store.opts.Logger.Info("mpmetrics: counting into the directory now", b.where())
		b.warn()
	}()
}

// warned keeps a process that opens many stores from repeating itself.
var warned sync.Once

// warn says, once in a process, that the directory is not where it belongs. It
// runs in the background, with no lock held: a log handler may count its lines.
func (b *fileBackend) warn() {
	if b.part.Load() != nil && directory.OnDisk(b.dir) {
		warned.Do(func() {
			b.store.opts.Logger.Warn("mpmetrics: the directory is on a disk; when that stalls the process does too: use tmpfs, for instance /dev/shm", b.where())
		})
	}
}
