//go:build unix

package compact_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/store"
)

func TestArchiveElsewhere(t *testing.T) {
	dir, disk := t.TempDir(), t.TempDir()
	t.Setenv(archive.EnvDir, disk)
	die(t, dir, 1)
	t.Setenv(archive.EnvDir, "")
	// A process that is not configured finds it all the same.
	absorb(t, dir, compact.Opts{})
	if _, err := os.Lstat(archivePath(disk)); err != nil {
		t.Error(err)
	}
	if got := total(t, dir); got != 1 {
		t.Errorf("total %v", got)
	}
	watch(t, collector.Opts{Location: dir, ArchiveDir: t.TempDir()}).want("mpmetrics_up", 0)
	if _, err := compact.Run(t.Context(), dir, compact.Opts{ArchiveDir: t.TempDir()}); !errors.Is(err, archive.ErrElsewhere) {
		t.Errorf("two archives for one directory: %v", err)
	}
}

// The disk of the archive is not mounted: that is not the same as no archive.
func TestArchiveDirMissing(t *testing.T) {
	dir, disk := t.TempDir(), t.TempDir()
	o := compact.Opts{ArchiveDir: disk}
	die(t, dir, 100)
	absorb(t, dir, o)
	die(t, dir, 1)
	now := watch(t, collector.Opts{Location: dir})
	now.want("n_total", 101)
	if err := os.Rename(sub(disk), sub(disk)+"-away"); err != nil {
		t.Fatal(err)
	}
	now.want("mpmetrics_up", 0)
	now.want("n_total", -1)
	for _, o := range []compact.Opts{{}, o} {
		if _, err := compact.Run(t.Context(), dir, o); !errors.Is(err, archive.ErrElsewhere) {
			t.Errorf("got %v, want %v", err, archive.ErrElsewhere)
		}
	}
	wantNames(t, dir, 2) // and where the archive is
	if err := os.Rename(sub(disk)+"-away", sub(disk)); err != nil {
		t.Fatal(err)
	}
	absorb(t, dir, compact.Opts{})
	now.want("n_total", 101)
}

// Two names of one directory are one.
func TestArchiveDirIsTheDirectory(t *testing.T) {
	dir := t.TempDir()
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(dir, alias); err != nil {
		t.Fatal(err)
	}
	die(t, dir, 1)
	if report := absorb(t, dir, compact.Opts{ArchiveDir: alias}); report.Absorbed != 1 {
		t.Errorf("report %+v", report)
	}
	if got := total(t, dir); got != 1 {
		t.Errorf("total %v", got)
	}
	wantNames(t, dir, 0)
}

// While somebody is about to publish the first archive, nobody settles that it is
// elsewhere; and afterwards neither.
func TestSettleWaits(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	unlock, err := compact.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if s, err := store.Open(store.Opts{Location: dir, ArchiveDir: t.TempDir()}); !errors.Is(err, compact.ErrBusy) {
		s.Close()
		t.Errorf("got %v, want %v", err, compact.ErrBusy)
	}
}

// What is in the place of our own files is neither followed nor waited for.
func TestOthersInOurPlace(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	lock := filepath.Join(sub(dir), layout.LockName)
	if err := syscall.Mkfifo(lock, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := compact.Run(t.Context(), dir, compact.Opts{}); !errors.Is(err, directory.ErrRefused) {
		t.Errorf("FIFO: %v, want %v", err, directory.ErrRefused)
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(sub(dir), layout.QuarantineName)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(sub(dir), layout.FileName(1, layout.NewID())), nil)
	for range 2 {
		report := absorb(t, dir, compact.Opts{})
		if len(report.Quarantined) != 0 || len(report.Left) != 1 {
			t.Errorf("report %+v", report)
		}
	}
	if moved, err := os.ReadDir(outside); err != nil || len(moved) != 0 {
		t.Errorf("moved outside: %v, %v", moved, err)
	}
	watch(t, collector.Opts{Location: dir}).want("mpmetrics_quarantined_files_total", 0)
}
