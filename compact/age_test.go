//go:build unix

package compact_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/store"
)

// in runs an absorption at a later time.
func in(t testing.TB, dir string, later time.Duration, o compact.Opts) compact.Report {
	t.Helper()
	report, err := compact.At(t, dir, time.Now().Add(later)).Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestSamplesOfTheDeadLeave(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Opts{Process: "worker"})
	s.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, store.All).Set(7)
	s.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Inc()
	end(t, s)
	now := watch(t, collector.Opts{Location: dir})
	for range 2 {
		now.want("g", 7)
		absorb(t, dir, compact.Opts{})
	}
	if report := in(t, dir, 30*time.Minute, compact.Opts{}); report.Expired != 0 {
		t.Errorf("after half an hour: %v", report)
	}
	if report := in(t, dir, 61*time.Minute, compact.Opts{}); report.Expired != 1 {
		t.Errorf("after an hour: %v", report)
	}
	now.want("g", -1)
	now.want("n_total", 1)
}

// The id of a process leaves the archive, but its file cannot come back.
func TestFileFromABackup(t *testing.T) {
	dir := t.TempDir()
	// It is older than the one that will be pruned, and there all the time.
	living := open(t, dir, store.Opts{})
	living.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Add(100)
	there := names(t, dir)
	die(t, dir, 1)
	name := slices.DeleteFunc(names(t, dir), func(n string) bool { return slices.Contains(there, n) })[0]
	now := watch(t, collector.Opts{Location: dir})
	now.want("n_total", 101)
	// A second name keeps the inode, which is what a copy would not have.
	backup := filepath.Join(t.TempDir(), name)
	if err := os.Link(filepath.Join(sub(dir), name), backup); err != nil {
		t.Fatal(err)
	}
	restore := func() {
		t.Helper()
		if err := os.Link(backup, filepath.Join(sub(dir), name)); err != nil {
			t.Fatal(err)
		}
	}
	absorb(t, dir, compact.Opts{})

	restore() // while the id is known
	now.want("n_total", 101)
	if report := absorb(t, dir, compact.Opts{}); report.Removed != 1 || report.Absorbed != 0 {
		t.Errorf("report %+v", report)
	}
	epoch := now.archive(dir).Epoch
	if report := in(t, dir, 3*time.Hour, compact.Opts{}); report.Pruned != 1 {
		t.Errorf("report %+v", report)
	}
	if now.archive(dir).Epoch == epoch {
		t.Error("the epoch stayed")
	}

	restore() // when it is not
	now.want("n_total", 101)
	if report := absorb(t, dir, compact.Opts{}); len(report.Quarantined) != 1 || report.Absorbed != 0 {
		t.Errorf("report %+v", report)
	}
	now.want("n_total", 101)
	wantNames(t, dir, 2) // living and quarantine

	// Who was there all the time is no file from a backup.
	end(t, living)
	if report := absorb(t, dir, compact.Opts{}); report.Absorbed != 1 {
		t.Errorf("report %+v", report)
	}
	now.want("n_total", 101)
}

func TestForget(t *testing.T) {
	dir := t.TempDir()
	living := open(t, dir, store.Opts{})
	count := func(s *store.Store, name string) {
		s.NewCounter(prometheus.CounterOpts{Name: name, Help: "h"}).Inc()
	}
	count(living, "lives_total")
	for _, name := range []string{"lives_total", "gone_total"} {
		s := open(t, dir, store.Opts{})
		count(s, name)
		end(t, s)
	}
	absorb(t, dir, compact.Opts{})
	now := watch(t, collector.Opts{Location: dir})
	if report := in(t, dir, 14*24*time.Hour, compact.Opts{}); report.Forgotten != 0 {
		t.Errorf("after 14 days: %v", report)
	}
	now.want("gone_total", 1)
	if report := in(t, dir, 16*24*time.Hour, compact.Opts{}); report.Forgotten != 1 {
		t.Errorf("after 16 days: %v", report)
	}
	now.want("gone_total", -1)
	now.want("lives_total", 2)
	now.want("mpmetrics_forgotten_series_total", 1)
}

func TestMaxArchiveSeries(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		s := open(t, dir, store.Opts{})
		s.NewCounterVec(prometheus.CounterOpts{Name: "n_total", Help: "h"}, []string{"i"}).WithLabelValues(fmt.Sprint(i)).Inc()
		end(t, s)
		if report := in(t, dir, time.Duration(i)*time.Second, compact.Opts{Limits: compact.Limits{MaxArchiveSeries: 15}}); report.Series > 15 {
			t.Fatalf("%d series", report.Series)
		}
	}
	now := watch(t, collector.Opts{Location: dir})
	now.want("mpmetrics_archive_series", 15)
	now.want("mpmetrics_forgotten_series_total", 5)
	for _, a := range now.archive(dir).Ledger.Accounts() {
		for _, e := range a.Entries() {
			if i := e.Values[0]; len(i) == 1 && i < "5" {
				t.Errorf("series %s is among the oldest, and still there", i)
			}
		}
	}
}

// Files of processes that were killed while they made them are removed, and
// nothing else is touched.
func TestTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	old := time.Now().Add(-2 * time.Minute)
	remove := map[string]bool{
		layout.FileName(1, layout.NewID()) + layout.TemporaryExtension: true,
		layout.ArchiveTemporary(layout.NewID()):                        true,
		"1.mpm.tmp":                                                    false, "notes.tmp": false, "archive-.tmp": false, "archive-x.tmp": false, ".tmp": false,
	}
	for name := range remove {
		write(t, filepath.Join(sub(dir), name), nil)
		if err := os.Chtimes(filepath.Join(sub(dir), name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	young := layout.ArchiveTemporary(layout.NewID())
	write(t, filepath.Join(sub(dir), young), nil)
	remove[young] = false
	if report := absorb(t, dir, compact.Opts{}); report.Temporary != 2 {
		t.Errorf("report %+v", report)
	}
	for name, removed := range remove {
		if _, err := os.Lstat(filepath.Join(sub(dir), name)); (err != nil) != removed {
			t.Errorf("%s: %v, want it removed: %v", name, err, removed)
		}
	}
}
