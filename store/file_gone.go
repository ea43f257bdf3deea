package store

import (
	"runtime"
	"slices"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// What becomes of a series that was deleted:
//
//  1. its gone record is appended; without room, as soon as there is some, and no
//     new series is published before
//  2. the runtime is asked to say when nobody can update it any more: a program may
//     hold on to it, and counts into cells that nobody shows
//  3. then its cells rest for a minute, and are room for others
//
// A SIGKILL between two steps leaves cells that nobody uses in the file of a dead
// process, and before 1 the series itself: it counts as one that was not deleted.

// restFor is longer than any scrape may take. A reader that is stopped for
// longer looks at the log again before it believes what it loaded.
const restFor = time.Minute

// depart implements backend.
func (b *fileBackend) depart(s *series) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.record(s)
}

// record is step 1, unless it was done with the record of a new series. mu is held.
func (b *fileBackend) record(s *series) {
	home := s.place.home.Load()
	if home == nil {
		return // it was in memory only
	}
	if s.place.recorded || len(b.owed) == 0 && home.AppendGone(s.place.run, time.Now().UnixNano()) {
		b.leaving = append(b.leaving, s)
		return
	}
	b.owed = append(b.owed, s)
}

// repay appends the gone records for which there was no room. It reports whether
// none is owed any more. mu is held.
func (b *fileBackend) repay() bool {
	for n, s := range b.owed {
		if !s.place.home.Load().AppendGone(s.place.run, time.Now().UnixNano()) {
			b.owed = b.owed[n:]
			return false
		}
		b.leaving = append(b.leaving, s)
	}
	b.owed = nil
	return true
}

// forgetGone takes those that were deleted out of what waits for room.
func (b *fileBackend) forgetGone() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending = slices.DeleteFunc(b.pending, func(i instrument) bool { return i.base().gone.Load() })
}

// freedRun is what a cleanup is given: it must not lead back to the instrument.
type freedRun struct {
	home *ownerfile.File
	run  ownerfile.Run
}

// release is step 2, for the series whose gone record is in the log. A cleanup takes
// time to make, and is not made where new series wait.
func (b *fileBackend) release() {
	b.mu.Lock()
	b.repay()
	done := b.leaving
	b.leaving = nil
	b.mu.Unlock()
	for _, s := range done {
		runtime.AddCleanup(s, func(f freedRun) { f.home.Free(f.run) }, freedRun{s.place.home.Load(), s.place.run})
	}
}
