// Package marker tells the collectors of mpmetrics from others, however often they
// are wrapped: they say so while they are described. One that got into what it
// shows itself would feed its own output back, and count it again.
package marker

import (
	"sync"
	"sync/atomic"
	"time"
)

var (
	said    atomic.Uint64
	probing sync.Mutex
)

// Say is called by Describe of a collector of ours.
func Say() { said.Add(1) }

// Ours reports whether describe describes a collector of ours. Somebody may
// describe another one at the same moment: what is said again and again is meant.
func Ours(describe func()) bool {
	probing.Lock()
	defer probing.Unlock()
	const tries = 3
	for range tries {
		before := said.Load()
		describe()
		if said.Load() == before {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return true
}
