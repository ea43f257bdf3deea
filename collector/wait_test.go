package collector_test

import (
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
)

// eventually waits until a condition holds that background work brings about.
func eventually(t testing.TB, holds func() bool) {
	t.Helper()
	promtest.Eventually(t, "the result of background work", holds)
}
