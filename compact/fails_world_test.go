package compact

import (
	"context"
	"io/fs"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// hooked is a directory of files where a test comes before each call that can
// fail: what it returns, the call returns.
type hooked struct {
	*files
	before func(call, name string) error
}

// inMemory reads headers as on a disk.
func (w hooked) inMemory() (files, archive bool) { return false, false }

func (w hooked) lock(ctx context.Context) (func(), error) {
	if err := w.before("lock", ""); err != nil {
		return nil, err
	}
	return w.files.lock(ctx)
}

func (w hooked) list(ctx context.Context) ([]string, error) {
	if err := w.before("list", ""); err != nil {
		return nil, err
	}
	return w.files.list(ctx)
}

func (w hooked) dead(name string) (bool, error) {
	if err := w.before("dead", name); err != nil {
		return false, err
	}
	return w.files.dead(name)
}

func (w hooked) readArchive(ctx context.Context) (*archive.Archive, error) {
	if err := w.before("readArchive", ""); err != nil {
		return nil, err
	}
	return w.files.readArchive(ctx)
}

func (w hooked) header(name string) (*layout.Header, error) {
	if err := w.before("header", name); err != nil {
		return nil, err
	}
	return w.files.header(name)
}

func (w hooked) read(ctx context.Context, name string) (*process, error) {
	if err := w.before("read", name); err != nil {
		return nil, err
	}
	return w.files.read(ctx, name)
}

func (w hooked) commit(_ context.Context, c change) (committed, error) { return commitSteps(w, c) }

func (w hooked) write(a *archive.Archive) (string, error) {
	if err := w.before("write", ""); err != nil {
		return "", err
	}
	return w.files.write(a)
}

func (w hooked) keep(reason string) error {
	if err := w.before("keep", ""); err != nil {
		return err
	}
	return w.files.keep(reason)
}

func (w hooked) check() error {
	if err := w.before("check", ""); err != nil {
		return err
	}
	return w.files.check()
}

func (w hooked) publish(temporary string) error {
	if err := w.before("publish", ""); err != nil {
		return err
	}
	return w.files.publish(temporary)
}

func (w hooked) syncRename() error {
	if err := w.before("syncRename", ""); err != nil {
		return err
	}
	return w.files.syncRename()
}

func (w hooked) remove(name string) error {
	if err := w.before("remove", name); err != nil {
		return err
	}
	return w.files.remove(name)
}

func (w hooked) quarantine(ctx context.Context, name, reason string) error {
	if err := w.before("quarantine", name); err != nil {
		return err
	}
	return w.files.quarantine(ctx, name, reason)
}

// ErrFailed is what a call returns that says nothing about the file.
var ErrFailed = errFailed

// ErrVanished is what a call returns for a file that was removed.
var ErrVanished = fs.ErrNotExist

// RunHooked absorbs in a directory where before comes before each call.
func RunHooked(ctx context.Context, t testing.TB, dir string, o Opts, before func(call, name string) error) (Report, error) {
	t.Helper()
	w, err := find(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Logger = quiet
	return run(ctx, hooked{w, before}, o)
}

// FailOnce returns a hook that lets the first call of a name fail.
func FailOnce(call string, err error) func(string, string) error {
	return func(name, _ string) error {
		if name != call || err == nil {
			return nil
		}
		once := err
		err = nil
		return once
	}
}
