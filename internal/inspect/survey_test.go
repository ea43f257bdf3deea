//go:build unix

package inspect

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/store"
)

var silent = slog.New(slog.DiscardHandler)

// open opens a store of a directory; end is what closing it is to its files.
func open(t *testing.T, dir string) (s *store.Store, end func()) {
	t.Helper()
	s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	end = func() {
		if !closed {
			closed = true
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(end)
	return s, end
}

func orders(s *store.Store, n float64) {
	s.NewCounter(prometheus.CounterOpts{Name: "orders_total", Help: "h"}).Add(n)
}

// One Inspector follows a directory from before it is there until after it is gone,
// and what it adds up does not change when a process dies and is absorbed.
func TestInspectorFollows(t *testing.T) {
	dir := t.TempDir()
	i := New(Opts{Dir: dir})
	defer i.Close()
	if s := i.Read(); s.Present || len(s.Processes) != 0 {
		t.Errorf("%+v", s)
	}
	one, end := open(t, dir)
	orders(one, 3)
	two, _ := open(t, dir)
	orders(two, 4)

	check := func(what string, states ...State) {
		t.Helper()
		s := i.Read()
		values := s.Select(nil)
		s.Explain(values)
		var got []State
		sum := 0.0
		if len(values) == 1 {
			for _, c := range values[0].Parts {
				got = append(got, c.State())
				sum += c.Value
			}
		}
		if len(values) != 1 || values[0].Value != 7 || sum != 7 || !slices.Equal(got, states) {
			t.Errorf("%s: %+v, parts %v add up to %v; want %v and 7", what, values, got, sum, states)
		}
	}
	check("two live", Live, Live)
	end()
	check("one is dead", Live, Dead)
	if _, err := compact.Run(t.Context(), dir, compact.Opts{Limits: compact.Limits{CoreShare: 1}, Logger: silent}); err != nil {
		t.Fatal(err)
	}
	check("it is absorbed", Live, Archived)

	s := i.Read()
	p, err := s.Process(s.Processes[0].pidText())
	if err != nil || p != s.Processes[0] {
		t.Errorf("%v, %v", p, err)
	}
	if p, err = s.Process(p.Path); err != nil || p != s.Processes[0] {
		t.Errorf("%v, %v", p, err)
	}
	if _, err = s.Process("1"); err == nil {
		t.Error("there is a process with pid 1")
	}
}

func TestMeter(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	c := s.NewCounterVec(prometheus.CounterOpts{Name: "orders_total", Help: "h"}, []string{"payment"})
	c.WithLabelValues("card").Add(10)
	c.WithLabelValues("cash").Add(10)
	i := New(Opts{Dir: dir})
	defer i.Close()
	m := NewMeter(i, nil)
	if first := m.Next(); first.Interval != 0 || first.Rate != 0 || len(first.Series) != 2 {
		t.Errorf("%+v", first)
	}
	c.WithLabelValues("cash").Add(30)
	second := m.Next()
	gained := second.Rate * second.Interval.Seconds()
	if gained < 29.9 || gained > 30.1 || second.Series[0].Labels[0].Value != "cash" || second.Processes[0].Rate != second.Rate || second.Processes[0].Total != 50 {
		t.Errorf("%+v", second)
	}
	m.Filter("CARD")
	if third := m.Next(); third.Interval != 0 || len(third.Series) != 1 || third.Processes[0].Total != 10 {
		t.Errorf("%+v", third)
	}
}

func TestParent(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "mpmetrics")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, given := range []string{dir, sub} {
		if got := Parent(given); got != dir {
			t.Errorf("%s is in %s, want %s", given, got, dir)
		}
	}
	// One that is called so, and is configured.
	if err := os.Mkdir(filepath.Join(sub, "mpmetrics"), 0o700); err != nil {
		t.Fatal(err)
	}
	if got := Parent(sub); got != sub {
		t.Errorf("%s is in %s", sub, got)
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	s, end := open(t, dir)
	orders(s, 3)
	files, err := filepath.Glob(filepath.Join(dir, "mpmetrics", "*.mpm"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	p, err := ReadFile(files[0])
	if err != nil || p.State != Live {
		t.Errorf("%+v, %v", p, err)
	}
	end()
	p, err = ReadFile(files[0])
	if err != nil || p.State != Dead || len(p.Detail().Values) != 1 || p.Detail().Values[0].Value != 3 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := ReadFile(files[0] + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
