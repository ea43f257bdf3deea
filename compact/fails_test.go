//go:build unix

package compact_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/store"
)

// Any call may fail. What that costs is an absorption: the next one does what is
// left, and the total is what it was.
func TestCallsFail(t *testing.T) {
	for _, test := range []struct {
		call string
		err  error
		fail bool // the absorption; otherwise the file stays, or is gone
	}{
		{call: "lock", err: compact.ErrFailed, fail: true},
		{call: "list", err: compact.ErrFailed, fail: true},
		{call: "readArchive", err: compact.ErrFailed, fail: true},
		{call: "dead", err: compact.ErrFailed, fail: false},
		{call: "header", err: compact.ErrFailed, fail: false},
		{call: "read", err: compact.ErrFailed, fail: false},
		{call: "read", err: compact.ErrVanished, fail: false},
		{call: "dead", err: compact.ErrVanished, fail: false},
		{call: "write", err: compact.ErrFailed, fail: true},
		{call: "publish", err: compact.ErrFailed, fail: true},
		{call: "syncRename", err: compact.ErrFailed, fail: true},
		{call: "remove", err: compact.ErrFailed, fail: true},
		{call: "remove", err: compact.ErrVanished, fail: false},
	} {
		t.Run(test.call+" "+test.err.Error(), func(t *testing.T) {
			dir := t.TempDir()
			for n := range 3 {
				die(t, dir, float64(n+1))
			}
			report, err := compact.RunHooked(t.Context(), t, dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}}, compact.FailOnce(test.call, test.err))
			if test.fail != errors.Is(err, test.err) || !test.fail && err != nil {
				t.Errorf("error %v, want %v: %v", err, test.err, test.fail)
			}
			if left := errors.Is(test.err, compact.ErrFailed) && (test.call == "dead" || test.call == "read" || test.call == "remove"); left != (len(report.Left) == 1) {
				t.Errorf("left %v", report.Left)
			}
			absorb(t, dir, compact.Opts{})
			if got := total(t, dir); got != 6 {
				t.Errorf("total %v, want 6", got)
			}
		})
	}
}

// The archive is damaged, and cannot be put aside: it stays in its place.
func TestArchiveCannotBeKept(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(string, string) error
		make   func(t *testing.T, quarantine string)
		want   string
	}{
		{name: "it fails", before: compact.FailOnce("keep", compact.ErrFailed), make: func(*testing.T, string) {}, want: "put archive aside: input/output error"},
		{name: "quarantine is a file", before: compact.FailOnce("", nil), make: func(t *testing.T, path string) { write(t, path, nil) }, want: "put archive aside: use "},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			die(t, dir, 1)
			absorb(t, dir, compact.Opts{})
			damage(t, archivePath(dir))
			die(t, dir, 2)
			test.make(t, filepath.Join(sub(dir), layout.QuarantineName))
			_, err := compact.RunHooked(t.Context(), t, dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}}, test.before)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if _, err := os.Lstat(archivePath(dir)); err != nil {
				t.Error(err)
			}
			if names := slices.DeleteFunc(names(t, dir), func(n string) bool { return n == layout.QuarantineName || layout.IsTemporary(n) }); len(names) != 1 {
				t.Errorf("files %v, want the dead one", names)
			}
		})
	}
}

// A damaged file that is removed, or cannot be moved, is not counted as put aside.
func TestCannotBePutAside(t *testing.T) {
	for _, test := range []struct {
		err  error
		left int
	}{{compact.ErrFailed, 1}, {compact.ErrVanished, 0}} {
		dir := t.TempDir()
		die(t, dir, 1)
		write(t, filepath.Join(sub(dir), layout.FileName(1, layout.NewID())), nil)
		report, err := compact.RunHooked(t.Context(), t, dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}}, compact.FailOnce("quarantine", test.err))
		if err != nil || report.Absorbed != 1 || len(report.Quarantined) != 0 || len(report.Left) != test.left {
			t.Errorf("%v: report %+v, %v", test.err, report, err)
		}
	}
}

// The same name may come to quarantine twice.
func TestQuarantineTwice(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	path := filepath.Join(sub(dir), layout.FileName(1, layout.NewID()))
	for n := 1; n <= 2; n++ {
		write(t, path, []byte{byte(n)})
		if report := absorb(t, dir, compact.Opts{}); len(report.Quarantined) != 1 {
			t.Errorf("report %+v", report)
		}
		if got := quarantined(t, dir); len(got) != n {
			t.Errorf("in quarantine: %v, want %d", got, n)
		}
	}
}

// The context ends an absorption between any two files, and in a pause. What was
// absorbed stays so.
func TestContextEnds(t *testing.T) {
	for _, call := range []string{"dead", "header", "read"} {
		t.Run(call, func(t *testing.T) {
			dir := t.TempDir()
			die(t, dir, 1)
			die(t, dir, 2)
			ctx, cancel := context.WithCancel(t.Context())
			_, err := compact.RunHooked(ctx, t, dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}}, func(name, _ string) error {
				if name == call {
					cancel()
				}
				return nil
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want %v", err, context.Canceled)
			}
			wantNames(t, dir, 2)
		})
	}
	t.Run("pause", func(t *testing.T) {
		dir := t.TempDir()
		for range compact.BatchFiles + 1 {
			die(t, dir, 1)
		}
		ctx, cancel := context.WithCancel(t.Context())
		lists := 0
		report, err := compact.RunHooked(ctx, t, dir, compact.Opts{Limits: compact.Limits{CoreShare: 1e-6}}, func(call, _ string) error {
			if call == "list" {
				lists++
			}
			if lists == 2 { // it looks whether more have died meanwhile
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) || report.Absorbed != compact.BatchFiles {
			t.Errorf("%d absorbed, %v, want %d, %v", report.Absorbed, err, compact.BatchFiles, context.Canceled)
		}
		if lists != 2 {
			t.Errorf("%d looks at the directory, want 2", lists)
		}
		absorb(t, dir, compact.Opts{})
		if got := total(t, dir); got != compact.BatchFiles+1 {
			t.Errorf("total %v", got)
		}
	})
	t.Run("the directory fails in a pause", func(t *testing.T) {
		dir := t.TempDir()
		for range compact.BatchFiles + 1 {
			die(t, dir, 1)
		}
		lists := 0
		_, err := compact.RunHooked(t.Context(), t, dir, compact.Opts{Limits: compact.Limits{CoreShare: 1e-6}}, func(call, _ string) error {
			if call == "list" {
				lists++
			}
			if lists == 2 {
				return compact.ErrFailed
			}
			return nil
		})
		if !errors.Is(err, compact.ErrFailed) {
			t.Errorf("error %v, want %v", err, compact.ErrFailed)
		}
	})
}

// To forget a series is to know what the living have: a living file that cannot be
// read may have all of them.
func TestNothingIsForgottenUnread(t *testing.T) {
	for _, test := range []struct {
		err  error
		want int
	}{{compact.ErrFailed, 0}, {compact.ErrVanished, 1}} {
		dir := t.TempDir()
		die(t, dir, 1)
		absorb(t, dir, compact.Opts{})
		living := open(t, dir, store.Opts{})
		living.NewCounter(prometheus.CounterOpts{Name: "other_total", Help: "h"}).Inc()
		report, err := compact.RunHooked(t.Context(), t, dir, compact.Opts{Limits: compact.Limits{CoreShare: 1, ForgetAfter: time.Nanosecond}}, compact.FailOnce("read", test.err))
		if err != nil || report.Forgotten != test.want {
			t.Errorf("%v: %d forgotten, %v, want %d", test.err, report.Forgotten, err, test.want)
		}
	}
}

// What is no file of ours is not removed for having the name of one that is being
// made.
func TestOldTemporaries(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	id := layout.NewID()
	file, link := layout.ArchiveTemporary(id), layout.FileName(1, id)+layout.TemporaryExtension
	write(t, filepath.Join(sub(dir), file), nil)
	age(t, dir)
	if err := os.Symlink(dir, filepath.Join(sub(dir), link)); err != nil {
		t.Fatal(err)
	}
	directory := layout.FileName(2, id) + layout.TemporaryExtension
	if err := os.Mkdir(filepath.Join(sub(dir), directory), 0o700); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(sub(dir), directory), old, old); err != nil {
		t.Fatal(err)
	}
	if report := absorb(t, dir, compact.Opts{}); report.Temporary != 1 {
		t.Errorf("%d removed, want 1", report.Temporary)
	}
	got := names(t, dir)
	slices.Sort(got)
	if want := []string{link, directory}; !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
}

// Two directories that share the place of an archive by mistake do not write over
// each other's.
func TestArchiveOfTwo(t *testing.T) {
	dir, disk := t.TempDir(), t.TempDir()
	o := compact.Opts{Limits: compact.Limits{CoreShare: 1}, ArchiveDir: disk}
	die(t, dir, 1)
	absorb(t, dir, o)
	unlock, err := compact.Lock(disk)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compact.Run(t.Context(), dir, o); !errors.Is(err, compact.ErrBusy) {
		t.Errorf("error %v, want %v", err, compact.ErrBusy)
	}
	unlock()
	absorb(t, dir, o)
}

func TestReportSaysEverything(t *testing.T) {
	r := compact.Report{
		Absorbed: 1, Removed: 2, Quarantined: make([]compact.LeftFile, 3), Left: make([]compact.LeftFile, 4), Temporary: 5,
		Unabsorbed: 6, Expired: 7, Forgotten: 8, Pruned: 9, Aside: "damaged",
	}
	const want = "1 processes absorbed, 2 files of absorbed processes removed, 3 files put aside, 4 files left, 5 temporary files removed, " +
		"6 sums dropped that are not finite, 7 processes with dropped samples, 8 series forgotten, 9 ids pruned, archive put aside: damaged"
	if got := r.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := (compact.Report{}).String(), "0 processes absorbed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMissingDirectory(t *testing.T) {
	if _, err := compact.Run(t.Context(), t.TempDir(), compact.Opts{}); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "absorb: ") {
		t.Errorf("error %v, want %v", err, fs.ErrNotExist)
	}
}
