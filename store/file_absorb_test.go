//go:build unix

package store_test

import (
	"path/filepath"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// A directory that nobody scrapes stays small: a process that meets many dead
// files absorbs them, although it may live for no longer than a moment itself.
func TestCrowdedDirectory(t *testing.T) {
	dir := t.TempDir()
	most := 0
	const processes = 600
	for range processes {
		s, err := store.Open(store.Opts{Location: dir})
		if err != nil {
			t.Fatal(err)
		}
		s.NewCounter(prometheus.CounterOpts{Name: "n_total", Help: "h"}).Inc()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "mpmetrics", "*-*.mpm"))
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, len(files))
	}
	if most > 300 {
		t.Errorf("%d files at a time", most)
	}
	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "n_total" {
			if got := f.GetMetric()[0].GetCounter().GetValue(); got != processes {
				t.Errorf("total %v, want %d", got, processes)
			}
			return
		}
	}
	t.Error("no total")
}

func TestNoAbsorption(t *testing.T) {
	dir := t.TempDir()
	for range 300 {
		s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "mpmetrics", "*.mpm"))
	if err != nil || len(files) != 300 {
		t.Errorf("%d files, %v, want 300", len(files), err)
	}
}
