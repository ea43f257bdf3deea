package store

import (
	"testing"
	"time"
)

// SetTick replaces the interval of the background work. It is for programs that
// have opened no store yet.
func SetTick(d time.Duration) { tick = d }

// SetClock replaces the clock of the stores that are opened from now on, until the
// end of the test.
func SetClock(t testing.TB, now func() time.Time) {
	clock = now
	t.Cleanup(func() { clock = time.Now })
}

// SetTickFor is SetTick until the end of the test.
func SetTickFor(t testing.TB, d time.Duration) {
	before := tick
	tick = d
	t.Cleanup(func() { tick = before })
}

// OpenIdle opens a store without its background work: as if that never got
// around to anything.
func OpenIdle(o Opts) (*Store, error) {
	s, err := prepare(o)
	if err == nil {
		err = s.backend.open()
	}
	return s, err
}

func (s *Store) file() *fileBackend { return s.backend.(*fileBackend) }

// Path returns the path of the store's file, "" without one.
func (s *Store) Path() string {
	if p := s.file().part.Load(); p != nil {
		return p.Path()
	}
	return ""
}

// Pending returns how many series wait in memory for room in the file.
func (s *Store) Pending() int {
	b := s.file()
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.pending)
}

// Series returns how many series count against MaxSeries.
func (s *Store) Series() int { return int(s.series.Load()) }

// FreeRuns returns how many runs of cells wait in the file for a new series.
func (s *Store) FreeRuns() int {
	if p := s.file().part.Load(); p != nil {
		return p.FreeRuns()
	}
	return 0
}

// Generation returns how often the log was written anew.
func (s *Store) Generation() int { return int(s.file().part.Load().Header().Generation) }
