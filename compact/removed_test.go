//go:build unix

package compact_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// calls are those of an absorption, in their order.
var calls = []string{"lock", "readArchive", "list", "dead", "read", "write", "check", "publish", "syncRename", "remove"}

// before runs an absorption, and something else before one of its calls.
func before(t *testing.T, dir, call string, what func()) error {
	t.Helper()
	done := false
	_, err := compact.RunHooked(t.Context(), t, dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}}, func(name, _ string) error {
		if name == call && !done {
			done = true
			what()
		}
		return nil
	})
	if !done {
		t.Errorf("no call of %s", call)
	}
	return err
}

// wantGivenUp checks the error of an absorption that lost something before a call.
// It has to give up if it has work and has not decided yet.
func wantGivenUp(t *testing.T, err error, call string) {
	t.Helper()
	gaveUp := errors.Is(err, compact.ErrChanged)
	if has := call == "write" || call == "check"; has && !gaveUp || err != nil && !gaveUp && !errors.Is(err, compact.ErrBusy) {
		t.Errorf("error %v, want ErrChanged: %v", err, has)
	}
}

// wantForGood fails the test unless a total is shown, also after the next absorption, and by a new
// collector.
func wantForGood(t *testing.T, dir string, now *shown, want float64) {
	t.Helper()
	now.want("n_total", want)
	absorb(t, dir, compact.Opts{})
	now.want("n_total", want)
	if got := total(t, dir); got != want {
		t.Errorf("a new collector shows %v, want %v", got, want)
	}
}

// A person takes compact.lock for a stale lock, and absorbs.
func TestLockRemovedDuringAnAbsorption(t *testing.T) {
	for _, archived := range []bool{true, false} {
		for _, call := range calls {
			t.Run(call, func(t *testing.T) {
				dir := t.TempDir()
				want := 111.0
				if die(t, dir, 1); archived {
					absorb(t, dir, compact.Opts{})
				}
				die(t, dir, 10)
				die(t, dir, 100)
				now := watch(t, collector.Opts{Location: dir})
				now.want("n_total", want)
				err := before(t, dir, call, func() {
					if err := os.Remove(filepath.Join(sub(dir), layout.LockName)); err != nil && archived && call != "lock" {
						t.Error(err)
					}
					die(t, dir, 1000)
					want += 1000
					_, err := compact.Run(t.Context(), dir, compact.Opts{})
					if err != nil && !errors.Is(err, compact.ErrBusy) {
						t.Error(err)
					}
					now.want("n_total", want)
				})
				wantGivenUp(t, err, call)
				wantForGood(t, dir, now, want)
				if q := quarantined(t, dir); len(q) > 0 {
					t.Errorf("in quarantine: %v", q)
				}
			})
		}
	}
}

// A directory is removed, or moved away, and made again. Nothing of what was
// removed returns, and nothing of the new one is lost.
func TestDirectoryReplacedDuringAnAbsorption(t *testing.T) {
	for name, remove := range map[string]func(string) error{
		"removed":    os.RemoveAll,
		"moved away": func(path string) error { return os.Rename(path, path+".away") },
	} {
		for _, call := range calls[1:] {
			t.Run(name+" before "+call, func(t *testing.T) {
				dir := t.TempDir()
				die(t, dir, 1)
				absorb(t, dir, compact.Opts{})
				die(t, dir, 10)
				err := before(t, dir, call, func() {
					if err := remove(sub(dir)); err != nil {
						t.Error(err)
					}
					die(t, dir, 1000)
					absorb(t, dir, compact.Opts{})
					die(t, dir, 2000)
				})
				if !errors.Is(err, fs.ErrNotExist) { // there may be no directory for a moment
					wantGivenUp(t, err, call)
				}
				const want = 3000
				if got := total(t, dir); got != want {
					t.Errorf("total %v, want %v", got, want)
				}
				absorb(t, dir, compact.Opts{})
				if got := total(t, dir); got != want {
					t.Errorf("total %v, want %v", got, want)
				}
			})
		}
	}
}

// An absorber is stopped for an hour, at any point, while others absorb, and its
// ids leave the archive.
func TestAbsorberStoppedForAnHour(t *testing.T) {
	for _, call := range calls[1:] {
		t.Run(call, func(t *testing.T) {
			dir := t.TempDir()
			die(t, dir, 1)
			absorb(t, dir, compact.Opts{})
			die(t, dir, 10)
			die(t, dir, 100)
			now := watch(t, collector.Opts{Location: dir})
			now.want("n_total", 111)
			want := 111.0
			_ = before(t, dir, call, func() { // it may be too late to notice
				if err := os.Remove(filepath.Join(sub(dir), layout.LockName)); err != nil {
					t.Error(err)
				}
				for hour := range 3 {
					passed := time.Duration(hour) * 2 * time.Hour
					dieAs(t, dir, "n_total", startedAt(t, passed, passed))
					want++
					_, err := compact.Clocks(t, dir, passed, passed).Run(t.Context(), compact.Opts{})
					if err != nil && !errors.Is(err, compact.ErrBusy) {
						t.Error(err)
					}
					now.want("n_total", want)
				}
			})
			wantForGood(t, dir, now, want)
		})
	}
}

// Another archive is put in place, say from a backup of this minute.
func TestArchiveReplacedDuringAnAbsorption(t *testing.T) {
	for _, call := range calls[1:] {
		t.Run(call, func(t *testing.T) {
			dir := t.TempDir()
			die(t, dir, 1)
			absorb(t, dir, compact.Opts{})
			die(t, dir, 10)
			now := watch(t, collector.Opts{Location: dir})
			now.want("n_total", 11)
			err := before(t, dir, call, func() {
				path := filepath.Join(sub(dir), layout.ArchiveName)
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				write(t, path+".new", b)
				if err := os.Rename(path+".new", path); err != nil {
					t.Error(err)
				}
			})
			wantGivenUp(t, err, call)
			absorb(t, dir, compact.Opts{})
			now.want("n_total", 11)
			if got := total(t, dir); got != 11 {
				t.Errorf("a new collector shows %v, want 11", got)
			}
		})
	}
}

// The checks of an absorption compare the numbers of inodes, and file systems use numbers again. The
// number of a file or a directory that an absorption has open does not come back.
func TestInodeNumbersDoNotComeBack(t *testing.T) {
	for _, call := range []string{"list", "write", "check", "publish"} {
		t.Run(call, func(t *testing.T) {
			dir := t.TempDir()
			die(t, dir, 1)
			absorb(t, dir, compact.Opts{})
			die(t, dir, 10)
			held := map[uint64]string{}
			number := func(path string) uint64 {
				st, err := directory.LookAt(path)
				if err != nil {
					t.Fatal(err)
				}
				return st.Inode
			}
			_ = before(t, dir, call, func() {
				for _, path := range []string{archivePath(dir), filepath.Join(sub(dir), layout.LockName), sub(dir)} {
					held[number(path)] = path
				}
				if err := os.RemoveAll(sub(dir)); err != nil {
					t.Error(err)
				}
				for i := range 200 {
					path := filepath.Join(dir, fmt.Sprint(i))
					if i%2 == 0 {
						write(t, path, nil)
					} else if err := os.Mkdir(path, 0o700); err != nil {
						t.Error(err)
					}
					if was, again := held[number(path)]; again {
						t.Errorf("%s has the number of %s", path, was)
					}
				}
			})
		})
	}
}

// A new compact.lock knows of the archive: one that is removed afterwards is
// missed.
func TestNewLockKnowsOfTheArchive(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	absorb(t, dir, compact.Opts{})
	if err := os.Remove(filepath.Join(sub(dir), layout.LockName)); err != nil {
		t.Fatal(err)
	}
	absorb(t, dir, compact.Opts{})
	if err := os.Remove(archivePath(dir)); err != nil {
		t.Fatal(err)
	}
	now := watch(t, collector.Opts{Location: dir})
	now.want("mpmetrics_up", 0)
	if report := absorb(t, dir, compact.Opts{}); report.Aside == "" {
		t.Errorf("report %+v", report)
	}
}

// A person has linked the file of a process to the name of the archive, or of
// compact.lock: the file is neither written to, nor taken for one that lives.
func TestFileLinkedToAnotherName(t *testing.T) {
	for _, name := range []string{layout.ArchiveName, layout.LockName} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			die(t, dir, 1)
			path := filepath.Join(sub(dir), names(t, dir)[0])
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Link(path, filepath.Join(sub(dir), name)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				absorb(t, dir, compact.Opts{})
			}
			if after, err := os.ReadFile(path); !errors.Is(err, fs.ErrNotExist) && !bytes.Equal(before, after) {
				t.Errorf("the file was written to: %v", err)
			}
			if got := total(t, dir); got != 1 {
				t.Errorf("total %v, want 1", got)
			}
		})
	}
}
