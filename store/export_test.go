package store

import "time"

// SetTick replaces the interval of the background work. It is for programs that
// have opened no store yet.
func SetTick(d time.Duration) { tick = d }

// OpenIdle opens a store without its background work: as if that never got
// around to anything.
func OpenIdle(o Opts) (*Store, error) {
	s, err := prepare(o)
	if err == nil {
		err = s.open()
	}
	return s, err
}

// Path returns the path of the store's file, "" without one.
func (s *Store) Path() string {
	if p := s.part.Load(); p != nil {
		return p.Path()
	}
	return ""
}

// Pending returns how many series wait in memory for room in the file.
func (s *Store) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending)
}
