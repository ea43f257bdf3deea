package damage

import (
	"runtime"
	"testing"
	"time"
)

// Bounds of the cost of one bad file.
const (
	maxTime   = time.Second
	maxMemory = 64 << 20
)

// Bounded runs do, and fails if do is slow or allocates much, whatever the files contain.
func Bounded(t testing.TB, what string, do func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begin := time.Now()
	do()
	took := time.Since(begin)
	runtime.ReadMemStats(&after)
	if took > maxTime*slowdown {
		t.Errorf("%s took %v", what, took)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > maxMemory {
		t.Errorf("%s took %d MiB", what, n>>20)
	}
}
