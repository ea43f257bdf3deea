package store

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// witness is a backend that writes down what it is asked.
type witness struct {
	store *Store
	t     testing.TB

	mu      sync.Mutex
	said    []string
	broken  error // what open and flush return
	entered []*series
	change  mirrored // staged last
	atReady func()   // called by ready, may be nil
}

// witnessed makes the scheme "witness" that of the witness until the end of the test.
func witnessed(t testing.TB) *witness {
	w := &witness{t: t}
	backends["witness"] = func(s *Store, _ string) (backend, error) {
		w.store = s
		return w, nil
	}
	t.Cleanup(func() { delete(backends, "witness") })
	return w
}

// say notes down what happens, for the test to take.
func (w *witness) say(what ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, strings.Join(what, " "))
}

// take returns what was said since the last time.
func (w *witness) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.said
	w.said = nil
	return said
}

// locked checks that the store's mu is held.
func (w *witness) locked() {
	if w.store.mu.TryLock() {
		w.store.mu.Unlock()
		w.t.Error("the store's mu is not held")
	}
}

func (w *witness) shared() bool     { return true }
func (w *witness) distant() bool    { return false }
func (w *witness) where() slog.Attr { return slog.String("witness", "here") }

func (w *witness) ready() bool {
	if w.atReady != nil {
		w.atReady()
	}
	return true
}

func (w *witness) open() error {
	w.say("open")
	return w.broken
}

func (w *witness) start() { w.say("start") }

func (w *witness) enter(i instrument, earlier *series) {
	w.locked()
	i.keep()
	w.entered = append(w.entered, i.base())
	what := []string{"enter", i.base().family.def.Name}
	what = append(what, i.base().values...)
	if earlier != nil {
		if !earlier.gone.Load() {
			w.t.Error("the earlier series is not gone")
		}
		what = append(what, "behind an earlier one")
	}
	w.say(what...)
}

func (w *witness) depart(s *series) {
	w.locked()
	if !s.gone.Load() {
		w.t.Error("a series departs that is not gone")
	}
	w.say("depart", s.family.def.Name, strings.Join(s.values, " "))
}

func (w *witness) shows(s *series) bool { return slices.Contains(w.entered, s) }

func (w *witness) stage(changed mirrored) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.change = changed; changed.empty() {
		w.t.Error("nothing was staged")
	}
}

func (w *witness) flush() error {
	w.say("flush")
	return w.broken
}

func (w *witness) forked()         { w.t.Error("forked") }
func (w *witness) degraded() error { return w.broken }

func (w *witness) close() error {
	w.say("close")
	return nil
}

// openWitnessed opens a store in which nothing happens by itself.
func openWitnessed(t testing.TB, o Opts) (*Store, *witness) {
	t.Helper()
	w := witnessed(t)
	SetTickFor(t, time.Hour)
	o.Location, o.FlushInterval, o.Logger = "witness://here", time.Hour, slog.New(slog.DiscardHandler)
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	w.is("open, start")
	return s, w
}

// is checks what was said since the last time.
func (w *witness) is(want string) {
	w.t.Helper()
	if diff := cmp.Diff(want, strings.Join(w.take(), ", ")); diff != "" {
		w.t.Errorf("(-want +got):\n%s", diff)
	}
}

// A backend is told of each series that comes and goes, and of none beyond the limit.
func TestBackendKnowsSeries(t *testing.T) {
	s, w := openWitnessed(t, Opts{MaxSeries: 3})
	single := s.NewCounter(prometheus.CounterOpts{Name: "single_total", Help: "h"})
	vec := s.NewCounterVec(prometheus.CounterOpts{Name: "vec_total", Help: "h"}, []string{"a", "b"})
	single.Inc()
	vec.WithLabelValues("1", "x").Inc()
	vec.WithLabelValues("1", "x").Inc()
	w.is("enter single_total, enter vec_total 1 x")
	if got := loaded(vec.WithLabelValues("1", "x").(instrument)); got[0] != 2 {
		t.Errorf("loaded %v, want 2", got)
	}

	vec.DeleteLabelValues("1", "x")
	vec.WithLabelValues("1", "x").Inc()
	w.is("enter vec_total 1 x behind an earlier one")

	vec.WithLabelValues("2", "y").Inc()
	vec.WithLabelValues("3", "z").Inc() // beyond
	w.is("enter vec_total 2 y")
	s.countDropped()
	w.is("enter mpmetrics_dropped_series_total")

	vec.DeleteLabelValues("2", "y")
	s.sweep(true)
	w.is("depart vec_total 2 y")
	vec.WithLabelValues("4", "u").Inc() // in its place
	vec.DeleteLabelValues("3", "z")
	vec.WithLabelValues("3", "z").Inc() // beyond, as before
	w.is("enter vec_total 4 u, depart vec_total 3 z")

	vec.DeleteLabelValues("4", "u")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.is("depart vec_total 4 u, flush, close")
	if err := s.Close(); err != nil || len(w.take()) > 0 {
		t.Error("closed twice")
	}
}

// A backend is given what has changed in the mirror, and only that; a flush that fails is
// shown until one succeeds.
func TestBackendIsGivenChanges(t *testing.T) {
	s, w := openWitnessed(t, Opts{})
	other := prometheus.NewCounter(prometheus.CounterOpts{Name: "other_total", Help: "h"})
	gauge := prometheus.NewGauge(prometheus.GaugeOpts{Name: "other", Help: "h"})
	s.Registerer().MustRegister(other, gauge)
	own := s.NewCounter(prometheus.CounterOpts{Name: "own_total", Help: "h"}).(prometheus.ExemplarAdder)
	own.AddWithExemplar(1, prometheus.Labels{"trace": "7"})
	w.is("enter own_total")

	names := func(m map[string][]byte) string { return strings.Join(slices.Sorted(maps.Keys(m)), " ") }
	step := func(what, families, exemplars string) {
		t.Helper()
		w.change = mirrored{}
		s.Flush()
		w.is("flush")
		if got := names(w.change.families); got != families {
			t.Errorf("%s: families %q were staged, want %q", what, got, families)
		}
		if got := names(w.change.exemplars); got != exemplars {
			t.Errorf("%s: exemplars of %q were staged, want of %q", what, got, exemplars)
		}
	}
	step("at first", "other other_total", "own_total")
	step("nothing new", "", "")
	other.Inc()
	step("a counter", "other_total", "")
	own.AddWithExemplar(1, prometheus.Labels{"trace": "8"})
	step("an exemplar", "", "own_total")
	s.Registerer().Unregister(gauge)
	step("a gauge less", "other", "")
	if value, there := w.change.families["other"]; !there || value != nil {
		t.Errorf("the gauge that is there no more is %q", value)
	}

	w.broken = errors.New("out of order")
	other.Inc()
	step("in vain", "other_total", "")
	if got := s.Degraded(); !errors.Is(got, w.broken) {
		t.Errorf("degraded: %v", got)
	}
	w.broken = nil
	step("again", "", "") // the backend has it
	if got := s.Degraded(); got != nil {
		t.Errorf("degraded: %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A store that cannot be opened says so, and begins nothing.
func TestBackendCannotOpen(t *testing.T) {
	w := witnessed(t)
	w.broken = errors.New("out of order")
	if _, err := Open(Opts{Location: "witness://here"}); !errors.Is(err, w.broken) {
		t.Errorf("open: %v", err)
	}
	w.is("open")
}

// Changes that follow each other are one.
func TestMirroredAdd(t *testing.T) {
	var all, change mirrored
	for _, step := range []map[string][]byte{
		{"a": {1}, "b": {1}}, {"a": nil, "c": {1}}, {"b": {2}, "c": nil, "d": nil},
	} {
		change.add(mirrored{families: step})
		all.add(mirrored{families: step})
		all.settle()
	}
	if diff := cmp.Diff(map[string][]byte{"b": {2}}, all.families); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string][]byte{"a": nil, "b": {2}, "c": nil, "d": nil}, change.families); diff != "" {
		t.Errorf("change (-want +got):\n%s", diff)
	}
}

// A flush that was at work in the parent goes on in the process that was forked. What it
// finds was the parent's, and the next one gives the backend everything.
func TestForkedWhileFlushing(t *testing.T) {
	s, w := openWitnessed(t, Opts{})
	s.Registerer().MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "other", Help: "h"}))
	w.atReady = func() {
		w.atReady = nil
		s.mirror.forked()
	}
	s.Flush()
	if len(w.change.families) > 0 {
		t.Errorf("%v was staged by the flush of the parent", w.change.families)
	}
	w.is("")
	s.Flush()
	w.is("flush")
	if w.change.families["other"] == nil {
		t.Errorf("only %v was staged by the next flush", w.change.families)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
