//go:build unix

package trial

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/store"
)

// labelled opens a store with a value for the label "process".
func labelled(t *testing.T, dir, process string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Opts{Location: dir, Process: process, NoAbsorption: true, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// shown are the users' samples, by name and the value of the label "process".
func shown(t *testing.T, c *collector.Collector) map[string]float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]float64{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), layout.ReservedPrefix) {
			continue
		}
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			samples[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue() // one is nil
		}
	}
	return samples
}

func showing(t *testing.T, dir, when string, want map[string]float64) {
	t.Helper()
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	if diff := cmp.Diff(want, shown(t, c)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

// A process comes back under the same name. It goes on counting where the
// one before ended, and takes nothing else over from it.
func TestProcessRestartKeepsTotals(t *testing.T) {
	dir := t.TempDir()
	define := func(s *store.Store) (prometheus.Counter, map[store.MergeMode]prometheus.Gauge) {
		gauges := map[store.MergeMode]prometheus.Gauge{}
		for _, mode := range modes {
			gauges[mode] = s.NewGauge(prometheus.GaugeOpts{Name: mode.String(), Help: "h"}, mode)
		}
		return s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}), gauges
	}
	first := labelled(t, dir, "7")
	c, gauges := define(first)
	c.Add(5)
	for _, g := range gauges {
		g.Set(9)
	}
	first.Close()
	second := labelled(t, dir, "7")
	c, _ = define(second)
	c.Add(1)
	want := map[string]float64{
		"c_total": 6,
		"all 7":   0, "all 7-2": 9, "sum": 9, "min": 9, "max": 9, "mostrecent": 9,
		"liveall 7": 0, "livesum": 0, "livemin": 0, "livemax": 0, "livemostrecent": 0, "livemean": 0,
	}
	showing(t, dir, "before it is absorbed", want)
	if report := absorbRest(t, dir); report.Absorbed != 1 {
		t.Fatal(report)
	}
	showing(t, dir, "after it is absorbed", want)
	c.Inc()
	second.Close()
	absorbRest(t, dir)
	showing(t, dir, "after both are", map[string]float64{
		"c_total": 7, "all 7": 9, "all 7-2": 0, "sum": 9, "min": 9, "max": 9, "mostrecent": 9,
	})
}

// The samples of All gauges leave some time after their process was absorbed;
// everything else stays.
func TestDeadSamplesLeave(t *testing.T) {
	dir := t.TempDir()
	fill := func(process string) {
		s := labelled(t, dir, process)
		s.NewGauge(prometheus.GaugeOpts{Name: "all", Help: "h"}, store.All).Set(1)
		s.NewGauge(prometheus.GaugeOpts{Name: "sum", Help: "h"}, store.Sum).Set(1)
		s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
		s.Close()
	}
	absorb := func(retention time.Duration) compact.Report {
		report, err := compact.Run(context.Background(), dir, compact.Opts{Limits: compact.Limits{DeadSampleRetention: retention}, Logger: silent})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	fill("1")
	if report := absorb(time.Hour); report.Absorbed != 1 || report.Expired != 0 {
		t.Errorf("within the time: %v", report)
	}
	showing(t, dir, "within the time", map[string]float64{"all 1": 1, "sum": 1, "c_total": 1})
	const retention = 50 * time.Millisecond
	time.Sleep(retention + 10*time.Millisecond)
	fill("2")
	if report := absorb(retention); report.Absorbed != 1 || report.Expired != 1 {
		t.Errorf("after the time of the first: %v", report)
	}
	showing(t, dir, "after the time of the first", map[string]float64{"all 2": 1, "sum": 2, "c_total": 2})
	time.Sleep(retention + 10*time.Millisecond)
	if report := absorb(retention); report.Absorbed != 0 || report.Expired != 1 {
		t.Errorf("with nobody new to absorb: %v", report)
	}
	showing(t, dir, "after that of both", map[string]float64{"sum": 2, "c_total": 2})
	if report := absorb(retention); report.Batches != 0 {
		t.Errorf("the archive was written although nothing changed: %v", report)
	}
}

// A process that is killed while it makes a file or an archive leaves temporary files. An
// absorption removes them when they are old and without an owner, and touches no other file.
func TestTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	if _, err := directory.Ensure(dir, directory.Access{}); err != nil {
		t.Fatal(err)
	}
	path := func(name string) string { return filepath.Join(dir, layout.Subdirectory, name) }
	process := func() string { return layout.FileName(7, layout.NewID()) + layout.TemporaryExtension }
	archive := func() string { return layout.ArchiveTemporary(layout.NewID()) }
	lock := func(f *os.File) {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			t.Fatal(err)
		}
	}
	var stay []string
	for _, test := range []struct {
		name string
		old  bool
		hold func(*os.File)
		stay bool
	}{
		{name: process(), old: true},
		{name: archive(), old: true},
		{name: process(), stay: true},
		{name: archive(), stay: true},
		{name: process(), old: true, hold: lock, stay: true},
		{name: archive(), old: true, hold: lock, stay: true},
		{name: "0-" + layout.NewID().String() + layout.Extension + layout.TemporaryExtension, old: true, stay: true},
		{name: "7-short" + layout.Extension + layout.TemporaryExtension, old: true, stay: true},
		{name: "archive-short" + layout.TemporaryExtension, old: true, stay: true},
		{name: "archive" + layout.TemporaryExtension, old: true, stay: true},
		{name: "x" + process(), old: true, stay: true},
		{name: process() + "~", old: true, stay: true},
		{name: "somebody's.db", old: true, stay: true},
		{name: "1-x" + layout.Extension, old: true, stay: true},
	} {
		f, err := os.OpenFile(path(test.name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if test.hold != nil {
			test.hold(f)
		}
		if test.old {
			past := time.Now().Add(-61 * time.Second)
			if err := os.Chtimes(path(test.name), past, past); err != nil {
				t.Fatal(err)
			}
		}
		if test.stay {
			stay = append(stay, test.name)
		}
	}
	if err := os.Mkdir(path(process()), 0o700); err != nil { // no file at all
		t.Fatal(err)
	}
	if report := absorbRest(t, dir); report.Temporary != 2 || len(report.Left)+len(report.Quarantined) > 0 {
		t.Errorf("%+v, want two temporary files removed", report)
	}
	names := listing(t, dir)
	for _, name := range stay {
		if !slices.Contains(names, name) {
			t.Errorf("%s was removed", name)
		}
	}
	if want := len(stay) + 2; len(names) != want { // and the directory, and the lock
		t.Errorf("got %v, want %d names", names, want)
	}
}
