package damage

import (
	"runtime"
	"testing"
	"time"
)

// Bounds of what one bad file may cost.
const (
	maxTime   = time.Second
	maxMemory = 64 << 20
)

// Bounded runs what must be quick and small whatever the files hold.
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
