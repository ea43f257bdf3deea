// Package testdir makes the directories in which tests count.
package testdir

import (
	"os"
	"testing"
)

// New returns a directory that goes with the test, on tmpfs where there is one: on a
// disk a store says so in the log.
func New(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mpmetrics-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
