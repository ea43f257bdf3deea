//go:build unix

package archive

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// An archive that nobody has written to since its publication tells no time of a damage, and is not
// read again. A write tells its time, and makes readers read again.
func TestArchiveOverwritten(t *testing.T) {
	dir := t.TempDir()
	publish(t, dir, sample(1))
	overwritten := func() int64 {
		t.Helper()
		l, err := Hold(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Unlock()
		return l.Overwritten()
	}
	known, err := Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer known.Close()
	if got := overwritten(); got != math.MaxInt64 {
		t.Errorf("overwritten at %d, want no time", got)
	}
	if again, err := Open(dir, known); err != nil || again != known {
		t.Errorf("read again: %v", err)
	}
	path := filepath.Join(dir, layout.ArchiveName)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-time.Second).UnixNano()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := overwritten(); got < before || got > time.Now().UnixNano() {
		t.Errorf("overwritten at %d, want a time after %d", got, before)
	}
	again, err := Open(dir, known)
	if err != nil || again == known {
		t.Errorf("not read again: %v", err)
	}
	again.Close()
	if got := (*Locked)(nil).Overwritten(); got != math.MaxInt64 {
		t.Errorf("without an archive: overwritten at %d, want no time", got)
	}
}
