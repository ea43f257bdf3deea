// Package sync stands in the place of sync: see package schedule.
package sync

import "github.com/mpmetrics/mpmetrics/internal/testing/schedule"

// Mutex is as in sync.
type Mutex struct{ locked bool }

// Lock lets other threads run until the mutex is free.
func (m *Mutex) Lock() {
	schedule.Point()
	for m.locked {
		schedule.Yield()
	}
	m.locked = true
}

// Unlock is as in sync.
func (m *Mutex) Unlock() {
	schedule.Point()
	m.locked = false
}
