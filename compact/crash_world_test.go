package compact

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Crash says before which call an absorption in a real directory crashes.
type Crash struct {
	Name string
	// Call is the name of the call, and Nth which of those.
	Call string
	Nth  int
	// Half: of what the call before has written, half is there.
	Half bool
	// Prune: there is nobody to absorb, and what crashes is the pruning of ids.
	Prune bool
}

// Crashes are all steps: the archive is written, synced, renamed, and that is
// synced, and then so many of the files are removed.
var Crashes = []Crash{
	{Name: "before the lock", Call: "lock"},
	{Name: "after probe", Call: "header"},
	{Name: "in the middle of reading", Call: "read", Nth: 2},
	{Name: "after read", Call: "write"},
	{Name: "half of the archive written", Call: "sync", Half: true},
	{Name: "written not synced", Call: "sync"},
	{Name: "synced not renamed", Call: "publish"},
	{Name: "renamed not synced", Call: "syncRename"},
	{Name: "no unlink", Call: "remove"},
	{Name: "one unlink", Call: "remove", Nth: 1},
	{Name: "all unlinks but one", Call: "remove", Nth: CrashDead - 1},
	{Name: "prune: half of the archive written", Call: "sync", Half: true, Prune: true},
	{Name: "prune: synced not renamed", Call: "publish", Prune: true},
	{Name: "prune: renamed not synced", Call: "syncRename", Prune: true},
}

// CrashDead is how many dead processes there are to be.
const CrashDead = 6

// crashing is a directory of files until the crash. From then on no call has an
// effect, and all return an error: what is deferred does nothing. The lock is
// dropped as the kernel would drop it. Calls that change nothing, and that no row
// of Crashes names, are those of files.
type crashing struct {
	*files
	Crash
	later   time.Duration
	calls   int // of Crash.Call
	locked  func()
	crashed bool
	tell    func() // told just before the crash
}

// inMemory reads headers as on a disk.
func (w *crashing) inMemory() (files, archive bool) { return false, false }

func (w *crashing) call(name string) error {
	if !w.crashed && w.Call == name {
		if w.calls == w.Nth {
			w.tell()
			w.crashed = true
			if w.locked != nil {
				w.locked()
			}
		}
		w.calls++
	}
	if w.crashed {
		return errCrashed
	}
	return nil
}

func (w *crashing) lock(ctx context.Context) (func(), error) {
	if err := w.call("lock"); err != nil {
		return nil, err
	}
	unlock, err := w.files.lock(ctx)
	w.locked = unlock
	return func() {
		if !w.crashed {
			unlock()
		}
	}, err
}

func (w *crashing) header(name string) (*layout.Header, error) {
	if err := w.call("header"); err != nil {
		return nil, err
	}
	return w.files.header(name)
}

func (w *crashing) read(ctx context.Context, name string) (*process, error) {
	if err := w.call("read"); err != nil {
		return nil, err
	}
	return w.files.read(ctx, name)
}

func (w *crashing) commit(_ context.Context, c change) (committed, error) { return commitSteps(w, c) }

func (w *crashing) write(a *archive.Archive) (string, error) {
	if err := w.call("write"); err != nil {
		return "", err
	}
	temporary, err := w.files.write(a)
	if err == nil && w.Half {
		err = os.Truncate(filepath.Join(w.archive, temporary), a.Size/2)
	}
	return temporary, err
}

func (w *crashing) sync(temporary string) error {
	if err := w.call("sync"); err != nil {
		return err
	}
	return w.files.sync(temporary)
}

func (w *crashing) publish(temporary string) error {
	if err := w.call("publish"); err != nil {
		return err
	}
	return w.files.publish(temporary)
}

func (w *crashing) syncRename() error {
	if err := w.call("syncRename"); err != nil {
		return err
	}
	return w.files.syncRename()
}

func (w *crashing) remove(name string) error {
	if err := w.call("remove"); err != nil {
		return err
	}
	return w.files.remove(name)
}

func (w *crashing) keep(reason string) error {
	if err := w.call("keep"); err != nil {
		return err
	}
	return w.files.keep(reason)
}

func (w *crashing) quarantine(ctx context.Context, name, reason string) error {
	if err := w.call("quarantine"); err != nil {
		return err
	}
	return w.files.quarantine(ctx, name, reason)
}

func (w *crashing) clean(ctx context.Context) int {
	if w.call("clean") != nil {
		return 0
	}
	return w.files.clean(ctx)
}

func (w *crashing) now() time.Time { return w.files.now().Add(w.later) }

func (w *crashing) uptime() time.Duration { return w.files.uptime() + w.later }

func (w *crashing) steady(time.Time, time.Duration) time.Duration { return w.later }

// Run absorbs in a directory until it crashes. tell is called just before that.
func (c Crash) Run(t testing.TB, dir string, tell func()) {
	t.Helper()
	w, err := find(dir, Opts{})
	if err != nil {
		t.Fatal(err)
	}
	x := &crashing{files: w, Crash: c, tell: tell}
	if c.Prune {
		if _, err := run(t.Context(), w, Opts{Limits: Limits{CoreShare: 1}, Logger: quiet}); err != nil {
			t.Fatal(err)
		}
		x.later = idRetention + 2*pruneSlack
	}
	// What it returns nobody would ever see.
	if _, _ = run(t.Context(), x, Opts{Limits: Limits{CoreShare: 1}, Logger: quiet}); !x.crashed {
		t.Fatal("it did not come to the crash")
	}
}

// failing is a directory of files where one call fails.
type failing struct {
	*files
	call string
}

var errFailed = errors.New("input/output error")

func (w failing) commit(_ context.Context, c change) (committed, error) { return commitSteps(w, c) }

func (w failing) sync(temporary string) error {
	if w.call == "sync" {
		return errFailed
	}
	return w.files.sync(temporary)
}

func (w failing) syncRename() error {
	if w.call == "syncRename" {
		return errFailed
	}
	return w.files.syncRename()
}

// RunFailing absorbs in a directory where a call fails.
func RunFailing(t testing.TB, dir, call string) {
	t.Helper()
	w, err := find(dir, Opts{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(t.Context(), failing{w, call}, Opts{Limits: Limits{CoreShare: 1}, Logger: quiet}); !errors.Is(err, errFailed) {
		t.Fatalf("error %v, want that of %s", err, call)
	}
}
