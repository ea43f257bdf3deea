package store_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// Whoever removes the parent of the directory has done with the metrics, as the end of a test has
// with t.TempDir. The store does not make the parent again, and goes on if somebody does.
func TestParentRemoved(t *testing.T) {
	store.SetTickFor(t, time.Millisecond)
	top := filepath.Join(t.TempDir(), "top")
	dir := filepath.Join(top, "001")
	s, err := store.Open(store.Opts{Location: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := s.NewCounter(counterOpts)
	c.Inc()
	for range 2 {
		takeAway(t, top)
		if !promtest.Within(promtest.Patience, func() bool { return s.Degraded() != nil }) {
			t.Fatal("the store does not say that the directory was removed")
		}
		c.Inc()
		time.Sleep(20 * time.Millisecond) // some tries
		if _, err := os.Stat(top); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("%s was made again: %v", top, err)
		}
		if err := os.Mkdir(top, 0o755); err != nil {
			t.Fatal(err)
		}
		if !promtest.Within(promtest.Patience, func() bool { return s.Degraded() == nil }) {
			t.Fatalf("the store does not go on where it can: %v", s.Degraded())
		}
	}
	if got := merged(registry(collector.New(collector.Opts{Location: dir})))["c_total"]; got != 3 {
		t.Errorf("c_total is %v, want 3", got)
	}
}

// A store that is closed, or was left open, leaves nothing where its directory was.
func TestNothingIsLeftAfterTheDirectory(t *testing.T) {
	store.SetTickFor(t, time.Millisecond)
	for name, closes := range map[string]bool{"closed": true, "left open": false} {
		t.Run(name, func(t *testing.T) {
			top := filepath.Join(t.TempDir(), "top")
			s, err := store.Open(store.Opts{Location: filepath.Join(top, "001"), Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			s.NewCounter(counterOpts).Inc()
			if closes {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			} else {
				defer s.Close()
			}
			takeAway(t, top)
			time.Sleep(20 * time.Millisecond) // some tries
			if _, err := os.Stat(top); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s was made again: %v", top, err)
			}
		})
	}
}

// takeAway removes a directory in one step: what is made again meanwhile does not get in the way.
func takeAway(t *testing.T, path string) {
	t.Helper()
	away := filepath.Join(t.TempDir(), "away")
	if err := os.Rename(path, away); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(away); err != nil {
		t.Fatal(err)
	}
}
