// Package marker tells own collectors from foreign collectors, however often a collector is
// wrapped: an own collector calls Say in Describe. A foreign collector may be mirrored; an own
// collector may not, because the output would be fed back and counted again.
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

// Say is called by Describe of an own collector.
func Say() { said.Add(1) }

// Ours reports whether describe describes an own collector. Another goroutine may describe an own
// collector at the same moment, so Ours believes only repeated calls of Say.
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
