//go:build unix

package compact_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/store"
)

func TestAbsorb(t *testing.T) {
	dir := t.TempDir()
	living := open(t, dir, store.Opts{})
	living.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Add(100)
	before := watch(t, collector.Opts{Location: dir})
	for _, n := range []float64{1, 2.5, 4} {
		die(t, dir, n)
	}
	before.want("n_total", 107.5)
	report := absorb(t, dir, compact.Opts{})
	if report.Absorbed != 3 || report.Series != 1 || report.Batches != 1 || len(report.Left)+len(report.Quarantined) != 0 {
		t.Errorf("report %+v", report)
	}
	wantNames(t, dir, 1)
	for _, s := range []*shown{before, watch(t, collector.Opts{Location: dir})} {
		s.want("n_total", 107.5)
		s.want("mpmetrics_absorbed_processes_total", 3)
		s.want("mpmetrics_archive_series", 1)
		s.want("mpmetrics_processes", 0) // dead, the first
		if last := s.value("mpmetrics_last_absorption_timestamp_seconds"); math.Abs(last-float64(time.Now().Unix())) > 60 {
			t.Errorf("last absorption at %v", last)
		}
	}
	if again := absorb(t, dir, compact.Opts{}); again.Absorbed != 0 || again.Batches != 0 {
		t.Errorf("nobody died, but: %v", again)
	}
}

func TestBatches(t *testing.T) {
	dir := t.TempDir()
	for range 2*compact.BatchFiles + 3 {
		die(t, dir, 1)
	}
	report := absorb(t, dir, compact.Opts{MinDead: 2*compact.BatchFiles + 3})
	if report.Absorbed != 2*compact.BatchFiles+3 || report.Batches != 3 {
		t.Errorf("report %+v", report)
	}
	wantNames(t, dir, 0)
	if got := total(t, dir); got != 2*compact.BatchFiles+3 {
		t.Errorf("total %v", got)
	}
	die(t, dir, 1)
	if report := absorb(t, dir, compact.Opts{MinDead: 2}); report.Absorbed != 0 {
		t.Errorf("fewer than MinDead: %v", report)
	}
}

// A listing that has a name twice, as the kernel's may while other processes make and remove files,
// counts no process twice.
func TestListedTwice(t *testing.T) {
	dir := t.TempDir()
	living := open(t, dir, store.Opts{})
	living.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Add(100)
	die(t, dir, 1)
	die(t, dir, 2)
	report, err := compact.Twice{Elsewhere: compact.At(t, dir, time.Now())}.Run(t.Context(), compact.Opts{})
	if err != nil || report.Absorbed != 2 || len(report.Left) > 0 {
		t.Errorf("report %+v, %v", report, err)
	}
	if got := total(t, dir); got != 103 {
		t.Errorf("total %v, want 103", got)
	}
}

func TestSecondCompactorIsTold(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	unlock, err := compact.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := compact.Run(t.Context(), dir, compact.Opts{}); !errors.Is(err, compact.ErrBusy) {
		t.Errorf("got %v, want %v", err, compact.ErrBusy)
	}
	unlock()
	if report := absorb(t, dir, compact.Opts{}); report.Absorbed != 1 {
		t.Errorf("report %v", report)
	}
}

func TestContext(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := compact.Run(ctx, dir, compact.Opts{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	wantNames(t, dir, 1)
}

func TestNoDirectory(t *testing.T) {
	if _, err := compact.Run(t.Context(), filepath.Join(t.TempDir(), "missing"), compact.Opts{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %v", err, fs.ErrNotExist)
	}
}

// A sum that is not finite goes with its process; what was counted stays.
func TestSumsThatAreNotFinite(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, store.Opts{})
	h := s.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1}})
	h.Observe(math.Inf(+1))
	h.Observe(0.5)
	c := s.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"})
	c.Inc()
	c.Add(math.Inf(+1))
	s.NewGauge(prometheus.GaugeOpts{Name: "max", Help: "h"}, store.Max).Set(math.Inf(+1)) // has no sum
	end(t, s)
	if report := absorb(t, dir, compact.Opts{}); report.Unabsorbed != 2 {
		t.Errorf("report %+v, want two sums left out", report)
	}
	now := watch(t, collector.Opts{Location: dir})
	now.want("n_total", 1)
	now.want("max", math.Inf(+1))
	now.want("mpmetrics_unabsorbed_sums_total", 2)
	got := now.scrape()["h"].GetHistogram()
	if got.GetSampleCount() != 2 || got.GetSampleSum() != 0 || got.GetBucket()[0].GetCumulativeCount() != 1 {
		t.Errorf("histogram %v", got)
	}
}

// Damaged and misplaced files are put aside with a reason, once, and cost the
// others nothing.
func TestQuarantine(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	die(t, dir, 2)
	whole, err := os.ReadFile(filepath.Join(sub(dir), names(t, dir)[0]))
	if err != nil {
		t.Fatal(err)
	}
	for pid, content := range [][]byte{1: {}, 2: []byte("\xff\xff\xff"), 3: whole[:len(whole)/2], 4: whole} {
		if content != nil {
			write(t, filepath.Join(sub(dir), layout.FileName(pid, layout.NewID())), content)
		}
	}
	write(t, filepath.Join(sub(dir), "counter_4711.db"), whole)
	var log lines
	report := absorb(t, dir, compact.Opts{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if report.Absorbed != 2 || len(report.Quarantined) != 4 {
		t.Errorf("report %+v", report)
	}
	if got := len(quarantined(t, dir)); got != 4 || log != 4 {
		t.Errorf("%d files in quarantine, %d lines in the log, want 4", got, log)
	}
	wantNames(t, dir, 2) // quarantine, and what is not ours
	after := watch(t, collector.Opts{Location: dir})
	after.want("n_total", 3)
	after.want("mpmetrics_quarantined_files_total", 4)
}

// lines counts what is written to a log.
type lines int

func (l *lines) Write(b []byte) (int, error) {
	*l++
	return len(b), nil
}

// What says nothing about the file, or could be read by another program, stays.
func TestLeft(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 1)
	newer := filepath.Join(sub(dir), layout.FileName(1, layout.NewID()))
	whole, err := os.ReadFile(filepath.Join(sub(dir), names(t, dir)[0]))
	if err != nil {
		t.Fatal(err)
	}
	write(t, newer, anotherVersion(t, whole))
	if err := os.Symlink("/dev/null", filepath.Join(sub(dir), layout.FileName(2, layout.NewID()))); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		report := absorb(t, dir, compact.Opts{})
		if len(report.Left) != 2 || len(report.Quarantined) != 0 {
			t.Errorf("report %+v", report)
		}
		wantNames(t, dir, 2)
	}
	if got := total(t, dir); got != 1 {
		t.Errorf("total %v", got)
	}
}

// anotherVersion changes the version in the header of a file, wherever a page
// has it.
func anotherVersion(t testing.TB, file []byte) []byte {
	t.Helper()
	const versionAt = 12 // as drawn in layout
	changed := false
	for at := 0; ; at++ {
		next := bytes.Index(file[at:], []byte("mpmetric"))
		if next < 0 {
			break
		}
		if at += next; !bytes.HasPrefix(file[at:], []byte(layout.SlabKey)) { // the key goes on with an s, as some checksums begin
			file[at+versionAt] = layout.Version + 1
			changed = true
		}
	}
	if !changed {
		t.Fatal("no header in the file")
	}
	return file
}
