package compact

import (
	"context"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/boot"
)

const BatchFiles = batchFiles

// Lock takes the lock of a directory.
func Lock(dir string) (unlock func(), err error) {
	w, err := find(dir, Opts{})
	if err != nil {
		return nil, err
	}
	return w.lock(context.Background())
}

// Elsewhere is a directory in another boot of the machine, or at another time.
type Elsewhere struct {
	*files
	id   string
	time time.Time
}

// Boot returns a directory as it is in a boot with an id.
func Boot(t testing.TB, dir, id string) Elsewhere {
	t.Helper()
	w, err := find(dir, Opts{})
	if err != nil {
		t.Fatal(err)
	}
	return Elsewhere{files: w, id: id}
}

// At returns a directory at another time, by all clocks.
func At(t testing.TB, dir string, now time.Time) Elsewhere {
	t.Helper()
	passed := time.Until(now)
	return Clocks(t, dir, passed, passed)
}

// Clocks returns a directory after some time, by its wall clock and by the clock that
// nobody can set.
func Clocks(t testing.TB, dir string, wall, uptime time.Duration) Elsewhere {
	t.Helper()
	w := Boot(t, dir, "")
	w.id, w.time = w.files.boot(), time.Now().Add(wall)
	w.sinceBoot = func() time.Duration { return boot.Uptime() + uptime }
	return w
}

// In returns the directory in a boot with an id.
func (w Elsewhere) In(id string) Elsewhere {
	w.id = id
	return w
}

func (w Elsewhere) boot() string { return w.id }

func (w Elsewhere) inMemory() (files, archive bool) { return false, false }

func (w Elsewhere) steady(now time.Time, uptime time.Duration) time.Duration {
	return archive.Steady(w.archive, archive.Reading{BootID: w.id, Uptime: uptime, Wall: now})
}

func (w Elsewhere) now() time.Time {
	if w.time.IsZero() {
		return w.files.now()
	}
	return w.time
}

// Run runs there.
func (w Elsewhere) Run(ctx context.Context, o Opts) (Report, error) { return run(ctx, w, o) }

// Archive reads the archive.
func (w Elsewhere) Archive() (*archive.Archive, error) { return archive.Read(w.files.archive) }

// Twice is a directory whose listing has each name twice.
type Twice struct{ Elsewhere }

func (w Twice) list(ctx context.Context) ([]string, error) {
	names, err := w.files.list(ctx)
	return append(names, names...), err
}

// Run runs there.
func (w Twice) Run(ctx context.Context, o Opts) (Report, error) { return run(ctx, w, o) }
