//go:build unix

package archive

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

func TestLocation(t *testing.T) {
	sub, disk, other := t.TempDir(), t.TempDir(), t.TempDir()
	want := filepath.Join(disk, layout.Subdirectory)
	locate := func(parent, want string) {
		t.Helper()
		for name, find := range map[string]func(string, string, directory.Access) (string, error){"Locate": Locate, "Settle": Settle} {
			if got, err := find(sub, parent, directory.Access{}); err != nil || got != want {
				t.Errorf("%s with %q: %q, %v, want %q", name, parent, got, err, want)
			}
		}
	}
	locate("", sub)
	if got, err := Locate(sub, disk, directory.Access{}); err != nil || got != want {
		t.Errorf("not settled: %q, %v, want %q", got, err, want)
	}
	locate("", sub) // asking settles nothing
	t.Setenv(EnvDir, disk)
	locate("", want)
	t.Setenv(EnvDir, "")
	locate("", want)
	locate(disk, want)
	for _, find := range []func(string, string, directory.Access) (string, error){Locate, Settle} {
		if _, err := find(sub, other, directory.Access{}); !errors.Is(err, ErrElsewhere) || !strings.Contains(err.Error(), layout.LocationName) {
			t.Errorf("another one: %v, want %v and the file that says so", err, ErrElsewhere)
		}
	}
}

// What is there already would be missing from the totals.
func TestLocationWithAnArchive(t *testing.T) {
	sub := t.TempDir()
	publish(t, sub, New())
	if _, err := Settle(sub, t.TempDir(), directory.Access{}); !errors.Is(err, ErrElsewhere) {
		t.Errorf("got %v, want %v", err, ErrElsewhere)
	}
}

func TestDamagedLocation(t *testing.T) {
	sub := t.TempDir()
	for _, content := range []string{"", "no newline", "relative\n", "/elsewhere\n"} {
		if err := os.WriteFile(filepath.Join(sub, layout.LocationName), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Locate(sub, "", directory.Access{}); !errors.Is(err, layout.ErrDamaged) {
			t.Errorf("%q: %v, want %v", content, err, layout.ErrDamaged)
		}
	}
}
