//go:build unix

package fuzz

import (
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/inspect"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/salvage"
	"github.com/mpmetrics/mpmetrics/internal/testing/damage"
	"github.com/mpmetrics/mpmetrics/store"
)

// good is what the process counts that has done nothing wrong.
const good = 7.25

// world is a directory with a process that lives, and a file whose content the
// test chooses. To the reader it is always the same file: its inode stays, as
// the header says.
type world struct {
	t     testing.TB
	dir   string
	file  string // a second name of the file, outside
	name  string // in the directory
	sound []byte // its content as its owner left it
}

var silent = slog.New(slog.DiscardHandler)

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, dir: memoryDir(t)}
	dead := w.open()
	count(dead, 1)
	v := dead.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h"}, []string{"a"})
	for _, a := range []string{"x", "y", "z"} {
		v.WithLabelValues(a).Observe(0.5)
	}
	dead.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}, store.MostRecent).Set(1)
	dead.NewGauge(prometheus.GaugeOpts{Name: "each", Help: "h"}, store.All).Set(1)
	w.end(dead)
	names, err := filepath.Glob(filepath.Join(w.dir, layout.Subdirectory, "*"+layout.Extension))
	if err != nil || len(names) != 1 {
		t.Fatalf("files %v, %v", names, err)
	}
	w.name = names[0]
	// On the file system of the directory, or it could not be linked.
	w.file = filepath.Join(w.dir, "bad")
	if err := os.Link(w.name, w.file); err != nil {
		t.Fatal(err)
	}
	if w.sound, err = os.ReadFile(w.file); err != nil {
		t.Fatal(err)
	}
	living := w.open()
	count(living, good)
	t.Cleanup(func() { w.end(living) })
	return w
}

// memoryDir is a directory in memory where there is one: absorption syncs, which
// takes a disk longer than all the rest.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "mpmetrics-fuzz-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (w *world) open() *store.Store {
	w.t.Helper()
	s, err := store.Open(store.Opts{Location: w.dir, NoAbsorption: true, Logger: silent})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) end(s *store.Store) {
	if err := s.Close(); err != nil {
		w.t.Error(err)
	}
}

func count(s *store.Store, n float64) {
	s.NewCounterVec(prometheus.CounterOpts{Name: "good_total", Help: "h"}, []string{"n"}).WithLabelValues("1").Add(n)
}

// put gives the file a content and its place in the directory.
func (w *world) put(content []byte) {
	w.t.Helper()
	if err := os.WriteFile(w.file, content, 0o600); err != nil {
		w.t.Fatal(err)
	}
	sub := filepath.Dir(w.name)
	for _, name := range []string{w.name, filepath.Join(sub, layout.ArchiveName), filepath.Join(sub, layout.LockName), filepath.Join(sub, layout.QuarantineName)} {
		if err := os.RemoveAll(name); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := os.Link(w.file, w.name); err != nil {
		w.t.Fatal(err)
	}
}

// survive checks that a content of the file changes nothing for others: neither
// a scrape nor an absorption. It returns what became of the file.
func (w *world) survive(content []byte) string {
	w.t.Helper()
	w.put(content)
	before := w.scrape()
	w.inspect(before)
	report := w.absorb()
	after := w.scrape()
	if before < good || after < good || before != after {
		w.t.Errorf("good_total is %v, and %v after an absorption; want at least %v", before, after, good)
	}
	switch {
	case len(report.Quarantined) == 1:
		return report.Quarantined[0].Reason
	case len(report.Left) == 1:
		return "left: " + report.Left[0].Reason
	}
	return "absorbed"
}

// scrape checks that a scrape succeeds, and shows what the good process counted.
// It returns the total, which may hold what is left of the bad one.
func (w *world) scrape() (total float64) {
	w.t.Helper()
	damage.Bounded(w.t, "scrape", func() {
		c := collector.New(collector.Opts{Location: w.dir, NoAbsorption: true, Logger: silent})
		defer c.Close()
		r := prometheus.NewRegistry()
		r.MustRegister(c)
		families, err := r.Gather()
		if err != nil {
			w.t.Errorf("scrape: %v", err)
		}
		up := false
		for _, f := range families {
			for _, m := range f.GetMetric() {
				switch {
				case f.GetName() == "mpmetrics_up":
					up = m.GetGauge().GetValue() == 1
				case f.GetName() == "good_total" && len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == "1":
					total = m.GetCounter().GetValue()
				}
			}
		}
		if !up {
			w.t.Error("mpmetrics_up is 0")
		}
	})
	return total
}

// inspect checks that whoever looks finds what a scrape shows, and that all have a
// part in it that adds up.
func (w *world) inspect(total float64) {
	w.t.Helper()
	damage.Bounded(w.t, "inspection", func() {
		i := inspect.New(inspect.Opts{Dir: w.dir})
		defer i.Close()
		s := i.Read()
		values := s.Select(nil)
		s.Explain(values)
		found := 0.0
		for _, v := range values {
			sum := 0.0
			for _, c := range v.Parts {
				sum += c.Value
			}
			if v.Family.Type != layout.Counter || v.Family.Mode.Valid() || math.IsNaN(sum) {
				continue
			}
			// Here they are rounded one by one, and there once.
			if math.Abs(sum-v.Value) > 1e-12*math.Abs(v.Value) {
				w.t.Errorf("%s is %v, its parts are %v", v.Series(), v.Value, sum)
			}
			if v.Family.Name == "good_total" && len(v.Labels) == 1 && v.Labels[0].Value == "1" {
				found = v.Value
			}
		}
		if found != total {
			w.t.Errorf("good_total is %v, a scrape shows %v", found, total)
		}
		if _, err := s.Gather(nil); err != nil {
			w.t.Errorf("gather: %v", err)
		}
		s.GatherProcesses(nil)
		s.Analyze(nil)
		s.Doctor()
		for _, p := range s.Processes {
			p.Detail()
		}
	})
	damage.Bounded(w.t, "salvage", func() {
		_, _ = salvage.Read(w.name) // that it ends is all that can be asked for
	})
}

// absorb checks that an absorption gets over the file, one way or another.
func (w *world) absorb() compact.Report {
	w.t.Helper()
	var report compact.Report
	damage.Bounded(w.t, "absorption", func() {
		var err error
		if report, err = compact.Run(w.t.Context(), w.dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}, Logger: silent}); err != nil {
			w.t.Errorf("absorption: %v", err)
		}
	})
	_, err := os.Lstat(w.name)
	if gone := errors.Is(err, fs.ErrNotExist); gone != (report.Absorbed+len(report.Quarantined) == 1) || gone == (len(report.Left) == 1) {
		w.t.Errorf("report %v, file: %v", report, err)
	}
	return report
}

// keep writes the bytes that made the test fail to a file and returns its path.
func (w *world) keep(content []byte) string {
	path := filepath.Join(os.TempDir(), "mpmetrics-bad-"+strings.ReplaceAll(w.t.Name(), "/", "-"))
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return err.Error()
	}
	return path
}
