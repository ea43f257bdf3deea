package owner

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

const (
	// reopenTicks is how many ticks lie between two tries to make a first file: each try
	// may be a system call that waits for a slow disk.
	reopenTicks = 10

	// lateFor is how long former cells are checked for late increments, which
	// come from goroutines that were stopped between two instructions.
	lateFor = time.Minute
)

// moved is an instrument that left cells.
type moved struct {
	instrument instrument.Drainer
	at         time.Time
}

// Start implements place.Place.
func (p *Place) Start() {
	fork.Watch(p)
	p.done, p.absorbed = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(p.absorbed)
		p.absorb()
	}()
	go func() {
		defer close(p.done)
		go p.warn()
		ticker := time.NewTicker(p.Tick)
		defer ticker.Stop()
		for ticks, grows := 0, true; ; {
			var wanted <-chan struct{}
			if f := p.part.Load(); f != nil && grows {
				wanted = f.Wanted()
			}
			ticked := false
			select {
			case <-p.stop:
				return
			case <-wanted:
			case <-ticker.C:
				ticks++
				ticked = true
			}
			// Without room the next try is at the next tick: otherwise each new series
			// would be a try.
			grows = p.maintain(ticked, ticks%reopenTicks == 0)
		}
	}()
}

// maintain is one turn of the background work. maintain reports whether room could be
// made.
func (p *Place) maintain(ticked, again bool) (grows bool) {
	p.maintaining.Lock()
	defer p.maintaining.Unlock()
	if p.currentState() == inherited {
		return false
	}
	if fork.Foreign(p.pid) {
		fork.Notice()
		p.enterState(forked)
		_ = p.disown() // an error leaves the file locked by this process too
		return false
	}
	if ticked {
		p.look()
		p.forgetGone()
		if again {
			p.reopen()
		}
	}
	if f := p.part.Load(); f != nil {
		return p.work(f)
	}
	return true
}

// work makes room, publishes the series that wait for room, and drains former cells.
// work reports whether room could be made.
func (p *Place) work(f *ownerfile.File) bool {
	defer p.turned()
	err := f.Grow()
	p.note(err)
	if errors.Is(err, ownerfile.ErrMoved) {
		p.abandon(f)
		return false
	}
	p.drain()
	p.release()
	// An error of Recycle loses some cells, and the cause is found by the next update too.
	_ = f.Recycle(p.Now(), restFor)
	// After another error of Rewrite the log is as it was before.
	if err := f.Rewrite(p.Now()); errors.Is(err, ownerfile.ErrMoved) {
		p.note(err)
		p.abandon(f)
		return false
	}

	now := p.Now()
	for i := p.publishNext(); i != nil; i = p.publishNext() {
		if d, ok := i.(instrument.Drainer); ok {
			p.moved = append(p.moved, moved{d, now})
		}
	}
	return err == nil
}

// drain moves late increments from former cells to the cells in use.
func (p *Place) drain() {
	now := p.Now()
	p.moved = slices.DeleteFunc(p.moved, func(m moved) bool {
		late, do := now.Sub(m.at) < lateFor, m.instrument.Settle
		if late {
			do = m.instrument.Drain
		}
		// The former file may have been cut since look looked.
		err := mapped.Guard(func() error {
			do()
			return nil
		})
		return !late && err == nil
	})
}

// publishAll publishes all series that wait in memory, as long as there is room. One round
// of work may only find out whether a slab for cells or a slab for the log is needed
// next: after some rounds without any progress there is no room to be had.
func (p *Place) publishAll(f *ownerfile.File) {
	const patience = 4
	for idle, before := 0, -1; idle < patience; idle++ {
		if !p.work(f) {
			return
		}
		p.mu.Lock()
		waiting := p.pending.len() + len(p.owed) + len(p.shares)
		p.mu.Unlock()
		if waiting == 0 {
			return
		}
		if waiting != before {
			idle, before = 0, waiting
		}
	}
}

// note keeps the reason why no series can be published, and logs changes of the reason. A
// log handler may block; making room must not wait for a handler.
func (p *Place) note(err error) {
	err = directory.Advise(err)
	p.mu.Lock()
	before := p.why
	p.why = err
	p.mu.Unlock()
	problem, repaired := "new series are counted in memory", "new series are published again"
	if p.part.Load() == nil {
		problem = "counting in memory until the directory can be used"
	}
	switch {
	case err != nil && before == nil:
		go p.Logger.Error("mpmetrics: "+problem, p.Where(), "err", err)
	case err == nil && before != nil:
		go p.Logger.Info("mpmetrics: "+repaired, p.Where())
	}
}

// abandon leaves a file whose slabs are no longer where the slabs were mapped: further
// updates would land in pages that bbolt uses for other data. No new file follows: it
// would repeat the values that the abandoned file has already.
func (p *Place) abandon(f *ownerfile.File) {
	p.part.Store(nil)
	p.turned() // the lock of a vec, which Each needs
	p.enterState(slabMoved)
	p.current = nil
	p.catalog.Each(instrument.Instrument.Leave)
	f.Close()
}

// reopen tries again to make a first file, and publishes into the file the values that
// were counted in memory until now.
func (p *Place) reopen() {
	if p.currentState() != absent || p.openFile() != nil {
		return
	}
	go func() {
		p.Logger.Info("mpmetrics: counting into the directory now", p.Where())
		p.warn()
	}()
}

// warned keeps a process that opens many stores from repeating the warning.
var warned sync.Once

// warn says, once in a process, that the directory is on a disk. warn runs in a goroutine
// of its own, with no lock held: a log handler may count its lines.
func (p *Place) warn() {
	if p.part.Load() != nil && directory.OnDisk(p.Dir) {
		warned.Do(func() {
			p.Logger.Warn("mpmetrics: the directory is on a disk; if the disk stalls, the process stalls too: use tmpfs, for instance /dev/shm", p.Where())
		})
	}
}
