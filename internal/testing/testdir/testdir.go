// Package testdir makes directories for the stores of tests.
package testdir

import (
	"os"
	"testing"
)

// New returns a directory that is removed with the test, on tmpfs if possible: on a disk a store
// logs a warning.
func New(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mpmetrics-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
