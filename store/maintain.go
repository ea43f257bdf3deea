package store

import (
	"time"

	"github.com/mpmetrics/mpmetrics/internal/fork"
)

// tick is how often the background work of stores and backends runs when nothing wakes
// it: what waits in memory is published at most this late once there is room. A
// variable for the tests.
var tick = time.Second

// maintain starts the background work: that of the store is what any backend needs.
func (s *Store) maintain() {
	if !s.backend.shared() {
		return
	}
	s.backend.start()
	s.done, s.flushed = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(s.flushed)
		s.every(s.opts.FlushInterval, s.Flush)
	}()
	go func() {
		defer close(s.done)
		s.every(tick, func() {
			if fork.Foreign(s.pid) {
				s.forked()
			}
			s.sweep(false)
			s.countDropped()
		})
	}()
}

// every calls do again and again until the store is closed.
func (s *Store) every(interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			do()
		}
	}
}

// Flush mirrors what the collectors of Registerer show at this moment, and returns
// when it is in the file. On a server it publishes everything that was counted, and
// waits for the answer, for two seconds at most; when the server did not answer
// lately it returns at once. A collector of this process calls it for each scrape.
func (s *Store) Flush() {
	if !s.backend.shared() {
		return
	}
	err := s.mirror.flush()
	s.mu.Lock()
	before := s.unflushed
	s.unflushed = err
	s.mu.Unlock()
	switch {
	case err != nil && before == nil:
		go s.opts.Logger.Error("mpmetrics: what has changed is not published", s.backend.where(), "err", err)
	case err == nil && before != nil:
		go s.opts.Logger.Info("mpmetrics: what has changed is published again", s.backend.where())
	}
}
