package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/partition"
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
	*partition.Partition
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
func (s *Store) look() {
	s.closeRetired(s.now())
	if s.current == nil {
		return
	}
	if s.next == nil {
		err := s.current.Check()
		if !errors.Is(err, partition.ErrRemoved) && !errors.Is(err, partition.ErrTruncated) {
			return // it is there, or that cannot be told at the moment
		}
		s.why = err
		s.part.Store(nil) // 1
		s.current.Retire()
	}
	if err := s.renew(); err != nil {
		s.note(fmt.Errorf("%w; a new one cannot be made: %w", s.why, err))
		return
	}
	go s.opts.Logger.Warn("mpmetrics: all that was counted is in a new file", "dir", s.dir, "err", s.why)
}

func (s *Store) renew() error {
	if s.next == nil {
		next, err := s.prepareFile() // 2
		if err != nil {
			return err
		}
		s.next = next
		s.mu.Lock()
		for _, f := range s.families {
			f.record = 0
		}
		s.mu.Unlock()
	}
	if err := s.moveTo(s.next); err != nil { // 3
		return err
	}
	if err := s.mirror.moveTo(s.next); err != nil {
		return err
	}
	err := s.next.Publish() // 4
	s.retired = append(s.retired, retired{s.current, s.now()})
	if err != nil {
		// The directory went away once more. The next look finds this file missing
		// as it found the one before.
		s.current, s.next = s.next, nil
		s.current.Retire()
		return err
	}
	s.countInto(s.next) // 5
	s.next = nil
	return nil
}

// moveTo moves every series that is published elsewhere into a file.
func (s *Store) moveTo(p *partition.Partition) (failed error) {
	now := s.now()
	cut := errors.Is(s.why, partition.ErrTruncated)
	s.each(func(i instrument) {
		b := i.base()
		if home := b.home.Load(); failed != nil || home == nil || home == p {
			return
		}
		if cut && i.mend() {
			b.created.Store(time.Now().UnixNano())
		}
		if failed = s.moveOne(p, i); failed != nil {
			return
		}
		if d, ok := i.(drainer); ok {
			s.moved = append(s.moved, moved{d, now})
		}
	})
	return failed
}

func (s *Store) moveOne(p *partition.Partition, i instrument) error {
	// Its family may need room, its record, and its cells.
	const tries = 4
	for range tries {
		if s.publishTo(p, i) {
			return nil
		}
		if err := p.Grow(); err != nil {
			return err
		}
	}
	return errors.New("there is no room, although it was made")
}

// publishTo publishes in a file that is not published itself.
func (s *Store) publishTo(p *partition.Partition, i instrument) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publishIn(p, i, nil)
}

// closeRetired closes files that everything has left for long enough.
func (s *Store) closeRetired(now time.Time) {
	s.retired = slices.DeleteFunc(s.retired, func(r retired) bool {
		if now.Sub(r.at) < retiredFor || len(s.retired) <= maxRetired && !r.Unlinked() {
			return false
		}
		if err := r.Close(); err != nil {
			go s.opts.Logger.Warn("mpmetrics: a file that was removed cannot be closed", "err", err)
		}
		return true
	})
}

// closeFiles closes all files, after every instrument has left them.
func (s *Store) closeFiles() error {
	errs := []error{s.current.Close()}
	if s.next != nil {
		errs = append(errs, s.next.Close())
	}
	for _, r := range s.retired {
		errs = append(errs, r.Close())
	}
	s.current, s.next, s.retired = nil, nil, nil
	return errors.Join(errs...)
}
