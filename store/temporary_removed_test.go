package store_test

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/store"
)

// An absorber whose clock is ahead removes the file of a store before the file has its name.
func TestTemporaryFileRemovedDuringOpen(t *testing.T) {
	dir := t.TempDir()
	var removed atomic.Bool
	var removing sync.WaitGroup
	removing.Go(func() {
		for !removed.Load() {
			found, err := filepath.Glob(filepath.Join(dir, layout.Subdirectory, "*"+layout.TemporaryExtension))
			if err != nil {
				panic(err)
			}
			for _, name := range found {
				if os.Remove(name) == nil {
					removed.Store(true)
				}
			}
		}
	})
	defer removing.Wait()
	defer removed.Store(true)
	for !removed.Load() {
		s := open(t, store.Opts{Location: dir, NoAbsorption: true})
		if err := s.Degraded(); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
