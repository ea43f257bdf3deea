//go:build unix

package scan

import (
	"errors"
	"os"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

func TestSeen(t *testing.T) {
	w := newWorld(t)
	live, dead, gone := w.process(), w.process(), w.process()
	dead.Close()
	damaged := w.process()
	damaged.Close()
	if err := os.Chmod(damaged.Path(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(damaged.Path(), 100); err != nil {
		t.Fatal(err)
	}
	w.scans("all", t.Context(), nil, 3)
	if err := os.Remove(gone.Path()); err != nil {
		t.Fatal(err)
	}
	w.scans("one removed", t.Context(), nil, 3)

	of := map[*merge.Series]bool{}
	for _, f := range w.merger.Families() {
		for _, s := range f.Series {
			of[s] = true
		}
	}
	seen := w.Seen()
	if len(seen) != 4 {
		t.Fatalf("%d files, want 4", len(seen))
	}
	for _, f := range seen {
		var lives, isGone, bad bool
		switch f.ID {
		case live.Header().ID:
			lives = true
		case dead.Header().ID:
		case gone.Header().ID:
			lives, isGone = true, true
		default:
			bad = true
		}
		if f.Live != lives || f.Gone != isGone || errors.Is(f.Err, layout.ErrDamaged) != bad {
			t.Errorf("%+v", f)
		}
		total := 0.0
		for _, p := range w.Parts(f, of) {
			total += p.Counter()
		}
		if (total == 1) == bad {
			t.Errorf("%s has %v", f.Name, total)
		}
	}
}
