//go:build unix

package compact_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/store"
)

// What a collector has shown does not dip when the file turns out to be damaged
// and is put aside. Without what was in it the total would be a little lower, and
// Prometheus would take all that is left for new.
func TestQuarantineIsNoDip(t *testing.T) {
	dir := t.TempDir()
	die(t, dir, 100)
	there := names(t, dir)
	s := open(t, dir, store.Opts{})
	file := slices.DeleteFunc(names(t, dir), func(n string) bool { return slices.Contains(there, n) })[0]
	s.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Add(5)
	s.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, store.LiveSum).Set(1)
	now := watch(t, collector.Opts{Location: dir})
	now.want("n_total", 105)
	now.want("g", 1)

	damage(t, filepath.Join(sub(dir), file))
	now.want("n_total", 105)
	end(t, s)
	now.want("n_total", 105)
	now.want("g", -1)
	if report := absorb(t, dir, compact.Opts{}); report.Absorbed != 1 || len(report.Quarantined) != 1 {
		t.Errorf("report %+v", report)
	}
	wantNames(t, dir, 1) // quarantine
	for range 2 {
		now.want("n_total", 105)
		now.want("mpmetrics_up", 1)
	}
	die(t, dir, 1)
	now.want("n_total", 106)
	absorb(t, dir, compact.Opts{})
	now.want("n_total", 106)

	if got := total(t, dir); got != 101 {
		t.Errorf("to a new collector the total is %v, want 101", got)
	}
}

// damage overwrites the meta pages of a file, under its owner.
func damage(t testing.TB, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xff}, 8192), 0); err != nil {
		t.Fatal(err)
	}
}
