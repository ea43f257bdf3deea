package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// Somebody may remove the file of a living process, move it away, put another in
// its place, or cut it short. Counting goes on in the mapped memory, which the
// kernel keeps for this process, but no reader finds it any more. Within a tick
// everything moves into a new file:
//
//  1. the old file takes no new series: they are counted on the heap for now
//  2. a new file is made under a temporary name, with the same id
//  3. the published series move, each with what it has counted
//  4. the new file is renamed to where the old one was
//  5. new series are published again; late increments on the old cells are moved
//     on for a minute, then the old file is closed
//
// Where the directory cannot be used meanwhile, each tick tries to go on. A SIGKILL
// before 4 loses what was counted: it was in a file that is gone.

// retired is a file that everything has moved out of.
type retired struct {
	*ownerfile.File
	at time.Time
}

const (
	// retiredFor is longer than late increments are looked for.
	retiredFor = 2 * lateFor

	// maxRetired bounds the files that stay open because somebody moved them to
	// another name. Locked, they are nobody's dead process should they come back.
	maxRetired = 16
)

// look sees to it that readers find what this process counts.
func (b *fileBackend) look() {
	b.closeRetired(b.store.now())
	if b.current == nil {
		return
	}
	if b.next == nil {
		err := b.current.Check()
		if !errors.Is(err, ownerfile.ErrRemoved) && !errors.Is(err, ownerfile.ErrTruncated) {
			return // it is there, or that cannot be told at the moment
		}
		b.moving = err
		b.part.Store(nil) // 1
		b.current.Retire()
	}
	if err := b.renew(); err != nil {
		b.note(fmt.Errorf("%w; a new one cannot be made: %w", b.moving, err))
		return
	}
	go b.store.opts.Logger.Warn("mpmetrics: all that was counted is in a new file", b.where(), "err", b.moving)
}

func (b *fileBackend) renew() error {
	if b.next == nil {
		next, err := b.prepareFile() // 2
		if err != nil {
			return err
		}
		b.next = next
		b.forgetRecords()
	}
	if err := b.moveTo(b.next); err != nil { // 3
		return err
	}
	if err := b.moveMirror(b.next); err != nil {
		return err
	}
	err := b.next.Publish() // 4
	b.retired = append(b.retired, retired{b.current, b.store.now()})
	if err != nil {
		// The directory went away once more. The next look finds this file missing
		// as it found the one before.
		b.current, b.next = b.next, nil
		b.current.Retire()
		return err
	}
	b.countInto(b.next) // 5
	b.next = nil
	return nil
}

// moveTo moves every series that is published elsewhere into a file.
func (b *fileBackend) moveTo(p *ownerfile.File) (failed error) {
	now := b.store.now()
	cut := errors.Is(b.moving, ownerfile.ErrTruncated)
	b.store.each(func(i instrument) {
		s := i.base()
		if home := s.place.home.Load(); failed != nil || home == nil || home == p {
			return
		}
		if cut && i.mend() {
			s.created.Store(time.Now().UnixNano())
		}
		if failed = b.moveOne(p, i); failed != nil {
			return
		}
		if d, ok := i.(drainer); ok {
			b.moved = append(b.moved, moved{d, now})
		}
	})
	return failed
}

func (b *fileBackend) moveOne(p *ownerfile.File, i instrument) error {
	// Its family may need room, its record, and its cells.
	const tries = 4
	for range tries {
		if b.publishTo(p, i) {
			return nil
		}
		if err := p.Grow(); err != nil {
			return err
		}
	}
	return errors.New("there is no room, although it was made")
}

// closeRetired closes files that everything has left for long enough.
func (b *fileBackend) closeRetired(now time.Time) {
	b.retired = slices.DeleteFunc(b.retired, func(r retired) bool {
		if now.Sub(r.at) < retiredFor || len(b.retired) <= maxRetired && !r.Unlinked() {
			return false
		}
		if err := r.Close(); err != nil {
			go b.store.opts.Logger.Warn("mpmetrics: a file that was removed cannot be closed", "err", err)
		}
		return true
	})
}
