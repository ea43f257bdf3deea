package collector_test

import (
	"testing"
	"time"
)

// eventually waits until a condition holds that background work brings about.
func eventually(t testing.TB, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatal("waited 20 s in vain")
		}
		time.Sleep(time.Millisecond)
	}
}
