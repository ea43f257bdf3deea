package store

import (
	"errors"
	"strconv"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/partition"
)

// forked makes a process of its own of one that was forked, by a C library, from
// the one that opened the store: it begins at zero, in a file of its own, and the
// files that it has from its parent are the parent's alone. Until the tick that
// notices, nothing new was published, commit groups were counted on the heap, and
// increments of counters and gauges, which need no lock, have reached the cells
// of the parent: they are part of what it counted.
func (s *Store) forked() {
	parent := s.pid
	s.part.Store(nil)
	s.each(func(i instrument) {
		b := i.base()
		if !fork.Foreign(b.pid) {
			return // made here, and counted here only
		}
		if b.home.Swap(nil) != nil {
			s.postpone(i)
		}
		i.forsake()
		b.created.Store(time.Now().UnixNano())
	})
	for _, p := range append([]*partition.Partition{s.current, s.next}, partitions(s.retired)...) {
		if p == nil {
			continue
		}
		if err := p.Forsake(); err != nil {
			go s.opts.Logger.Error("mpmetrics: a file of the parent process cannot be left", "err", err)
		}
	}
	s.mu.Lock()
	for _, f := range s.families {
		f.record = 0
	}
	s.owed, s.leaving = nil, nil // their records are the parent's business
	s.mu.Unlock()
	s.current, s.next, s.retired, s.moved = nil, nil, nil, nil
	s.mirror.forked()
	s.pid, s.id, s.start = fork.Pid(), layout.NewID(), 0
	if s.opts.Process == strconv.Itoa(parent) {
		s.opts.Process = strconv.Itoa(s.pid)
	}
	if err := s.open(); err != nil {
		s.note(errors.Join(errors.New("this process was forked and needs a file of its own"), err))
	}
}

func partitions(all []retired) []*partition.Partition {
	var p []*partition.Partition
	for _, r := range all {
		p = append(p, r.Partition)
	}
	return p
}
