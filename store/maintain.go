package store

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/partition"
)

// tick is how often the background work runs when nothing wakes it: what waits
// in memory is published at most this late once there is room. A variable for
// the tests.
var tick = time.Second

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

// maintain starts the background work of a store with a directory. All system
// calls happen there, none in an instrument.
func (s *Store) maintain() {
	s.done, s.absorbed, s.flushed = make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(s.flushed)
		s.keepFlushing()
	}()
	go func() {
		defer close(s.absorbed)
		s.absorb()
	}()
	go func() {
		defer close(s.done)
		go s.warn()
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		ticks, grows := 0, true
		for {
			var wanted <-chan struct{}
			if p := s.part.Load(); p != nil && grows {
				wanted = p.Wanted()
			}
			select {
			case <-s.stop:
				return
			case <-wanted:
			case <-ticker.C:
				ticks++
				if fork.Foreign(s.pid) {
					s.forked()
				}
				s.look()
				s.sweep(false)
				if ticks%reopenTicks == 0 {
					s.reopen()
				}
				s.countDropped()
			}
			if p := s.part.Load(); p != nil && !fork.Foreign(s.pid) {
				// When there is no room, the next try is at the next tick:
				// each new series would be one otherwise.
				grows = s.work(p)
			}
		}
	}()
}

// work makes room, publishes what waits for it, and drains what was left
// behind. It reports whether room could be made.
func (s *Store) work(p *partition.Partition) bool {
	err := p.Grow()
	s.note(err)
	if errors.Is(err, partition.ErrMoved) {
		s.abandon(p)
		return false
	}
	s.drain()
	s.release()
	// Should it fail, some cells are lost, and whoever counts meets the same.
	_ = p.Recycle(s.now(), restFor)
	// Should that fail, the log is as it was.
	if errors.Is(p.Rewrite(s.now()), partition.ErrMoved) {
		s.abandon(p)
		return false
	}

	now := s.now()
	s.mu.Lock()
	pending := s.pending
	s.pending = nil
	s.mu.Unlock()
	for n, i := range pending {
		if !s.publish(i) {
			s.mu.Lock()
			s.pending = append(s.pending, pending[n:]...)
			s.mu.Unlock()
			break
		}
		if d, ok := i.(drainer); ok {
			s.moved = append(s.moved, moved{d, now})
		}
	}
	return err == nil
}

// drain moves on what came late to the cells that instruments have left.
func (s *Store) drain() {
	now := s.now()
	s.moved = slices.DeleteFunc(s.moved, func(m moved) bool {
		if now.Sub(m.at) < lateFor {
			m.instrument.drain()
			return false
		}
		m.instrument.settle()
		return true
	})
}

// flush publishes all that waits in memory, as long as there is room. One round
// of work may only find out what is needed next, a slab for cells or for the
// log: after some rounds without any progress there is nothing more to be had.
func (s *Store) flush(p *partition.Partition) {
	const patience = 4
	for idle, before := 0, -1; idle < patience; idle++ {
		if !s.work(p) {
			return
		}
		s.mu.Lock()
		waiting := len(s.pending) + len(s.owed)
		s.mu.Unlock()
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
func (s *Store) note(err error) {
	s.mu.Lock()
	before := s.degraded
	s.degraded = err
	s.mu.Unlock()
	what, again := "new series are counted in memory", "new series are published again"
	if s.part.Load() == nil {
		what = "counting in memory until the directory can be used"
	}
	switch {
	case err != nil && before == nil:
		go s.opts.Logger.Error("mpmetrics: "+what, "dir", s.dir, "err", err)
	case err == nil && before != nil:
		go s.opts.Logger.Info("mpmetrics: "+again, "dir", s.dir)
	}
}

// abandon leaves a file whose slabs are no longer where they were mapped: what
// is written on would land in pages that bbolt uses for something else. It is
// for good: a new file would hold again what the old one holds already.
func (s *Store) abandon(p *partition.Partition) {
	s.part.Store(nil)
	s.current = nil
	s.each(func(i instrument) { i.leave() })
	p.Close()
	s.abandoned = true
}

// reopen tries again to make a file, when there is none, and publishes into it
// what was counted in memory until now.
func (s *Store) reopen() {
	if s.current != nil || s.abandoned {
		return
	}
	if err := s.open(); err != nil {
		s.note(err)
		return
	}
	go func() {
		s.opts.Logger.Info("mpmetrics: counting into the directory now", "dir", s.dir)
		s.warn()
	}()
}

// warned keeps a process that opens many stores from repeating itself.
var warned sync.Once

// warn says, once in a process, that the directory is not where it belongs. It
// runs in the background, with no lock held: a log handler may count its lines.
func (s *Store) warn() {
	if s.part.Load() != nil && directory.OnDisk(s.dir) {
		warned.Do(func() {
			s.opts.Logger.Warn("mpmetrics: the directory is on a disk; when that stalls the process does too: use tmpfs, for instance /dev/shm", "dir", s.dir)
		})
	}
}

// countDropped shows the series beyond MaxSeries in a counter of this process.
// It is made with the first of them, and here, where no lock is held.
func (s *Store) countDropped() {
	n := s.dropped.Swap(0)
	if n == 0 {
		return
	}
	if s.droppedTotal == nil {
		f := makeFamily(layout.Family{
			Type: layout.Counter, Name: layout.ReservedPrefix + "dropped_series_total",
			Help: "Series beyond the limit of a process, which are counted in its memory only.",
		}, nil, nil)
		f.unlimited = true // it is made when there is no series left
		s.droppedTotal = define(s, f, f.newCounter())
	}
	s.droppedTotal.Add(float64(n))
}
