package compact_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/store"
)

// open opens a store that does not absorb by itself.
func open(t testing.TB, dir string, o store.Opts) *store.Store {
	t.Helper()
	o.Location, o.NoAbsorption = dir, true
	s, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// die makes a process that counts n in "n_total" and dies.
func die(t testing.TB, dir string, n float64) {
	t.Helper()
	s := open(t, dir, store.Opts{})
	s.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Add(n)
	end(t, s)
}

func end(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// absorb runs once, without pauses.
func absorb(t testing.TB, dir string, o compact.Opts) compact.Report {
	t.Helper()
	o.CoreShare = 1
	report, err := compact.Run(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// shown is a collector that does not absorb by itself.
type shown struct {
	t testing.TB
	r *prometheus.Registry
}

func watch(t testing.TB, o collector.Opts) *shown {
	t.Helper()
	o.NoAbsorption = true
	c := collector.New(o)
	t.Cleanup(func() { c.Close() })
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	return &shown{t, r}
}

// scrape returns the first sample of each family.
func (s *shown) scrape() map[string]*dto.Metric {
	s.t.Helper()
	families, err := s.r.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	metrics := map[string]*dto.Metric{}
	for _, f := range families {
		metrics[f.GetName()] = f.GetMetric()[0]
	}
	return metrics
}

// value is a counter or gauge; -1 if it is not shown.
func (s *shown) value(name string) float64 {
	s.t.Helper()
	m := s.scrape()[name]
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	}
	return -1
}

func (s *shown) want(name string, want float64) {
	s.t.Helper()
	if got := s.value(name); got != want {
		s.t.Errorf("%s is %v, want %v", name, got, want)
	}
}

// archive is that of a directory.
func (s *shown) archive(dir string) *archive.Archive {
	s.t.Helper()
	a, err := archive.Read(sub(dir))
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// total is what a collector that has seen nothing before shows.
func total(t testing.TB, dir string) float64 {
	t.Helper()
	return watch(t, collector.Opts{Location: dir}).value("n_total")
}

func sub(dir string) string { return filepath.Join(dir, layout.Subdirectory) }

// names are the files in the directory, without the archive and its lock.
func names(t testing.TB, dir string) []string {
	t.Helper()
	all, err := directory.List(sub(dir))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(n string) bool {
		return n == layout.ArchiveName || n == layout.LockName
	})
}

func wantNames(t testing.TB, dir string, n int) {
	t.Helper()
	if got := names(t, dir); len(got) != n {
		t.Errorf("files %v, want %d beside the archive and its lock", got, n)
	}
}

// quarantined are the files there, without the texts beside them.
func quarantined(t testing.TB, dir string) []string {
	t.Helper()
	all, err := directory.List(filepath.Join(sub(dir), layout.QuarantineName))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, name := range all {
		if strings.HasSuffix(name, ".txt") {
			continue
		}
		files = append(files, name)
		if !slices.Contains(all, name+".txt") {
			t.Errorf("%s has no reason beside it", name)
		}
	}
	return files
}

func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
