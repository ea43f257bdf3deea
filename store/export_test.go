package store

import (
	"context"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/owner"
)

// SetTick replaces the interval of the background work. It is for programs that
// have opened no store yet.
func SetTick(d time.Duration) { tick = d }

// SetFirstPause replaces the pause before the first flush of a store.
func SetFirstPause(d time.Duration) { firstPause = d }

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
		err = s.place.Open(context.Background())
	}
	return s, err
}

// Sweep finds the deleted series, as the background work does once a second.
func (s *Store) Sweep() { s.catalog.Sweep(true) }

func (s *Store) file() *owner.Place { return s.place.(*owner.Place) }

// NoShares lets deleted series leave with their counts, and their cells be used again at once.
func (s *Store) NoShares() { s.catalog.MostShares = 0 }

// MostShares bounds the shares of deleted series.
func (s *Store) MostShares(n int) { s.catalog.MostShares = n }

// Path returns the path of the store's file, "" without one.
func (s *Store) Path() string { return s.file().Path() }

// Pending returns how many series wait in memory for room in the file.
func (s *Store) Pending() int { return s.file().Pending() }

// Series returns how many series count against MaxSeries.
func (s *Store) Series() int { return s.catalog.Published() }

// FreeRuns returns how many runs of cells wait in the file for a new series.
func (s *Store) FreeRuns() int { return s.file().FreeRuns() }

// Generation returns how often the log was written anew.
func (s *Store) Generation() int { return s.file().Generation() }

// OpenDegraded opens a store as Default does: the store counts in memory while the location cannot
// be used.
func OpenDegraded(t testing.TB, o Opts) *Store {
	s, err := prepare(o)
	if err != nil {
		t.Fatal(err)
	}
	if s.place.Open(context.Background()) == nil {
		t.Fatal("the location can be used")
	}
	s.maintain()
	return s
}
