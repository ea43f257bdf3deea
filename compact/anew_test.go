//go:build unix

package compact_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
	"github.com/mpmetrics/mpmetrics/store"
)

func archivePath(dir string) string { return filepath.Join(sub(dir), layout.ArchiveName) }

// change writes an archive anew, with other bytes.
func change(t testing.TB, path string, how func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, how(b))
}

// A damaged archive is kept for people who want to look at it, and totals restart: with a start
// timestamp that says so, and without a count that was shown before.
func TestDamagedArchive(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"empty":       func([]byte) []byte { return nil },
		"half":        func(b []byte) []byte { return b[:len(b)/2] },
		"not bbolt":   func(b []byte) []byte { return make([]byte, len(b)) },
		"wrong total": func(b []byte) []byte { return flipLog(t, b) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			living := open(t, dir, store.Opts{})
			living.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Add(5)
			die(t, dir, 10)
			absorb(t, dir, compact.Opts{})
			change(t, archivePath(dir), damage)
			die(t, dir, 1)

			now := watch(t, collector.Opts{Location: dir})
			now.want("mpmetrics_up", 0)
			now.want("n_total", -1)
			begin := time.Now()
			report := absorb(t, dir, compact.Opts{})
			if report.Aside == "" || report.Absorbed != 1 {
				t.Errorf("report %+v", report)
			}
			now.want("mpmetrics_up", 1)
			now.want("n_total", 1)
			now.want("mpmetrics_archives_put_aside_total", 1)
			if created := now.scrape()["n_total"].GetCounter().GetCreatedTimestamp().AsTime(); created.Before(begin) {
				t.Errorf("start timestamp %v, want one after %v", created, begin)
			}
			if got := quarantined(t, dir); len(got) != 1 {
				t.Errorf("quarantine holds %v, want the archive", got)
			}
			if again := absorb(t, dir, compact.Opts{}); again.Batches != 0 {
				t.Errorf("once more: %v", again)
			}
		})
	}
}

// flipLog changes a byte of the last record.
func flipLog(t testing.TB, b []byte) []byte {
	t.Helper()
	for at := layout.ValueOffset; at < len(b); at += layout.PageSize {
		if _, err := layout.DecodeSlab(b[at:]); err == nil {
			b[at+layout.SlabHeaderBytes+layout.RecordWordBytes+3] ^= 1
			return b
		}
	}
	t.Fatal("no slab")
	return nil
}

// A collector that absorbs by itself gets over a damaged archive without help.
func TestDamagedArchiveHeals(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 10)
	absorb(t, dir, compact.Opts{})
	change(t, archivePath(dir), func([]byte) []byte { return nil })
	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	s := &shown{t, r}
	for deadline := time.Now().Add(10 * time.Second); s.value("mpmetrics_up") != 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still down")
		}
	}
	s.want("mpmetrics_archives_put_aside_total", 1)
}

// An archive of a later format is left to those who know it.
func TestNewerArchive(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 10)
	absorb(t, dir, compact.Opts{})
	change(t, archivePath(dir), func(b []byte) []byte { return anotherVersion(t, b) })
	want, err := os.ReadFile(archivePath(dir))
	if err != nil {
		t.Fatal(err)
	}
	die(t, dir, 1)
	if _, err := compact.Run(t.Context(), dir, compact.Opts{}); !errors.Is(err, compact.ErrNewer) {
		t.Errorf("got %v, want %v", err, compact.ErrNewer)
	}
	if got, err := os.ReadFile(archivePath(dir)); err != nil || string(got) != string(want) {
		t.Errorf("the archive was touched: %v", err)
	}
	wantNames(t, dir, 1)
	now := watch(t, collector.Opts{Location: dir})
	now.want("mpmetrics_up", 0)
	families, err := now.r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "mpmetrics_absorption_stopped" {
			continue
		}
		for _, m := range f.GetMetric() {
			if reason := m.GetLabel()[0].GetValue(); (m.GetGauge().GetValue() == 1) != (reason == "version") {
				t.Errorf("stopped by %s: %v", reason, m.GetGauge().GetValue())
			}
		}
	}
}

// After a reboot the last seconds of a file on a disk may be missing. Totals that
// went on from there would be a little lower than they were.
func TestEarlierBoot(t *testing.T) {
	for _, archived := range []bool{false, true} {
		dir := t.TempDir()
		if archived {
			die(t, dir, 10)
			absorb(t, dir, compact.Opts{})
		}
		die(t, dir, 1)
		die(t, dir, 2)
		later := compact.Boot(t, dir, "another boot")
		report, err := later.Run(t.Context(), compact.Opts{})
		if err != nil {
			t.Fatal(err)
		}
		if report.Absorbed != 0 || len(report.Quarantined) != 2 || report.Aside == "" {
			t.Errorf("archived %v: report %+v", archived, report)
		}
		want := 2
		if archived {
			want++
		}
		if got := quarantined(t, dir); len(got) != want {
			t.Errorf("archived %v: quarantine holds %v, want %d files", archived, got, want)
		}
		a, err := later.Archive()
		if err != nil {
			t.Fatal(err)
		}
		if a.Ledger.Series() != 0 || a.Begun == 0 || a.BootID != "another boot" {
			t.Errorf("archived %v: %d series, begun %d, boot %q", archived, a.Ledger.Series(), a.Begun, a.BootID)
		}
		// One that comes later is late: totals do not begin anew for it.
		die(t, dir, 3)
		if report, err = later.Run(t.Context(), compact.Opts{}); err != nil || len(report.Quarantined) != 1 || report.Aside != "" {
			t.Errorf("archived %v: report %+v, %v", archived, report, err)
		}
	}
}

// An absorption is cut off between the archive that knows of the files of an earlier
// boot and their quarantine. The next one puts them there, and removes none.
func TestCutOffBeforeTheQuarantine(t *testing.T) {
	for _, files := range []int{1, 3} {
		dir := t.TempDir()
		die(t, dir, 1)
		for n := range files {
			p, err := ownerfile.Create(sub(dir), layout.Header{PID: uint32(n + 1), ID: layout.NewID(), Start: 1, BootID: "earlier"})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cut := context.WithCancel(t.Context())
		_, err := compact.RunHooked(ctx, t, dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}}, func(call, _ string) error {
			if call != "quarantine" {
				return nil
			}
			cut()
			return compact.ErrFailed
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		wantNames(t, dir, files)
		report := absorb(t, dir, compact.Opts{})
		if report.Removed != 0 || len(report.Quarantined) != files {
			t.Errorf("report %+v", report)
		}
		if got := quarantined(t, dir); len(got) != files {
			t.Errorf("quarantine holds %v, want %d files", got, files)
		}
		if got := total(t, dir); got != 1 {
			t.Errorf("total %v, want 1", got)
		}
	}
}

// Files on tmpfs are gone after a reboot, an archive on a disk is not: it goes on
// only if nobody is missing.
func TestRebootWithArchiveOnDisk(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 10)
	absorb(t, dir, compact.Opts{})
	later := compact.Boot(t, dir, "another boot")
	report, err := later.Run(t.Context(), compact.Opts{})
	if err != nil || report.Aside != "" {
		t.Errorf("nobody was missing: report %+v, %v", report, err)
	}

	living := open(t, dir, store.Opts{})
	die(t, dir, 1)
	absorb(t, dir, compact.Opts{}) // in this boot again, with living
	end(t, living)
	if err := os.Remove(filepath.Join(sub(dir), names(t, dir)[0])); err != nil {
		t.Fatal(err)
	}
	report, err = later.Run(t.Context(), compact.Opts{})
	if err != nil || report.Aside == "" || report.Series != 0 {
		t.Errorf("a process was missing: report %+v, %v", report, err)
	}
}

// A scrape before the absorption does not show totals that may have dipped.
func TestScrapeAfterReboot(t *testing.T) {
	dir := t.TempDir()
	if directory.InMemory(dir) {
		t.Skip("skipped: the directory for temporary files is in memory, where every file is of this boot")
	}
	die(t, dir, 1)
	p, err := ownerfile.Create(sub(dir), layout.Header{PID: 1, ID: layout.NewID(), Start: 1, BootID: "earlier"})
	if err != nil {
		t.Fatal(err)
	}
	now := watch(t, collector.Opts{Location: dir})
	now.want("mpmetrics_up", 1) // alive, whatever it says
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	now.want("mpmetrics_up", 0)
	now.want("n_total", -1)
	absorb(t, dir, compact.Opts{})
	now.want("mpmetrics_up", 1)
	now.want("mpmetrics_archive_begun_timestamp_seconds", float64(now.archive(dir).Begun)/1e9)
	now.want("n_total", 1)
}

// An archive that is removed by hand is lost like a damaged archive: totals restart, without a count
// that was shown before.
func TestRemovedArchive(t *testing.T) {
	dir := t.TempDir()
	living := open(t, dir, store.Opts{})
	living.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Add(5)
	die(t, dir, 10)
	absorb(t, dir, compact.Opts{})
	now := watch(t, collector.Opts{Location: dir})
	now.want("n_total", 15)
	if err := os.Remove(archivePath(dir)); err != nil {
		t.Fatal(err)
	}
	now.want("mpmetrics_up", 0)
	now.want("n_total", -1)
	begin := time.Now()
	if report := absorb(t, dir, compact.Opts{}); report.Aside == "" {
		t.Errorf("report %+v", report)
	}
	now.want("n_total", 0)
	if created := now.scrape()["n_total"].GetCounter().GetCreatedTimestamp().AsTime(); created.Before(begin) {
		t.Errorf("start timestamp %v, want one after %v", created, begin)
	}
}

// A repair does not wait until many have died.
func TestMinDeadAndRepair(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 10)
	absorb(t, dir, compact.Opts{})
	change(t, archivePath(dir), func([]byte) []byte { return nil })
	die(t, dir, 1)
	if report := absorb(t, dir, compact.Opts{MinDead: 10}); report.Aside == "" || report.Absorbed != 1 {
		t.Errorf("report %+v", report)
	}
}
