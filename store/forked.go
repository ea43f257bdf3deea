package store

import (
	"time"

	"github.com/mpmetrics/mpmetrics/internal/fork"
)

// forked makes a process of its own of one that was forked, by a C library, from
// the one that opened the store: it begins at zero, in a place of its own. Until the
// tick that notices, nothing new was shown to others, commit groups were counted on
// the heap, and increments of counters and gauges, which need no lock, have reached
// the cells of the parent: they are part of what it counted.
func (s *Store) forked() {
	parent := s.pid
	s.backend.forked()
	s.each(func(i instrument) {
		b := i.base()
		if !fork.Foreign(b.pid) {
			return // made here, and counted here only
		}
		i.forsake()
		b.created.Store(time.Now().UnixNano())
	})
	s.mirror.forked()
	s.pid = fork.Pid()
	if s.opts.Process == processOf(s.opts.Location, parent) {
		s.opts.Process = processOf(s.opts.Location, s.pid)
	}
	if err := s.backend.open(); err != nil {
		go s.logFallback(err)
	}
}
