package store

import (
	"context"
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

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/place"
)

// witness is a place that writes down the calls of its methods.
type witness struct {
	store *Store
	t     testing.TB

	mu      sync.Mutex
	said    []string
	broken  error // what open and flush return
	entered []*instrument.Series
	change  place.Mirrored // staged last
}

// witnessed makes the witness the place of all stores until the end of the test.
func witnessed(t testing.TB) *witness {
	w := &witness{t: t}
	makePlace = func(s *Store) (place.Place, error) {
		w.store = s
		return w, nil
	}
	t.Cleanup(func() { makePlace = newPlace })
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

// locked checks that the lock of the catalog is held: another goroutine waits for it.
func (w *witness) locked() {
	free := make(chan struct{})
	go func() {
		w.store.catalog.Families()
		close(free)
	}()
	select {
	case <-free:
		w.t.Error("the lock of the catalog is not held")
	case <-time.After(10 * time.Millisecond):
	}
}

func (w *witness) Shared() bool     { return true }
func (w *witness) Distant() bool    { return false }
func (w *witness) Where() slog.Attr { return slog.String("witness", "here") }
func (w *witness) Ready() bool      { return true }

func (w *witness) Open(context.Context) error {
	w.say("open")
	return w.broken
}

func (w *witness) Start() { w.say("start") }

func (w *witness) Enter(i instrument.Instrument, earlier *instrument.Series) {
	w.locked()
	if !i.Base().Beyond() {
		i.Keep()
	}
	w.entered = append(w.entered, i.Base())
	what := []string{"enter", i.Base().Family.Def.Name}
	what = append(what, i.Base().Values...)
	if earlier != nil {
		if !earlier.Gone() {
			w.t.Error("the earlier series is not gone")
		}
		what = append(what, "after an earlier one")
	}
	w.say(what...)
}

func (w *witness) Await(s *instrument.Series) {
	w.store.catalog.Families() // the lock of the catalog is free
	if !slices.Contains(w.entered, s) {
		w.t.Errorf("%s is awaited before it entered", s.Family.Def.Name)
	}
}

func (w *witness) Depart(s *instrument.Series) {
	w.locked()
	if !s.Gone() {
		w.t.Error("a series departs that is not gone")
	}
	w.say("depart", s.Family.Def.Name, strings.Join(s.Values, " "))
}

func (w *witness) Hand(from instrument.Instrument, to instrument.Heir) bool {
	w.locked()
	to.TakeOver(from)
	w.say("hand", to.Base().Family.Def.Name, strings.Join(to.Base().Values, " "))
	return true
}

// Share keeps no share.
func (w *witness) Share(from instrument.Instrument, to instrument.Heir) bool {
	w.locked()
	w.say("share", to.Base().Family.Def.Name, strings.Join(to.Base().Values, " "))
	return false
}

func (w *witness) Shows(s *instrument.Series) bool { return slices.Contains(w.entered, s) }

func (w *witness) Stage(changed place.Mirrored) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.change = changed
	if changed.Empty() {
		w.t.Error("nothing was staged")
	}
}

func (w *witness) Flush(context.Context) error {
	w.say("flush")
	return w.broken
}

func (w *witness) Degraded() error { return w.broken }

func (w *witness) Close() error {
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

// A place is told of each series that comes and goes, and of one beyond the limit when it has a place.
func TestPlaceKnowsSeries(t *testing.T) {
	s, w := openWitnessed(t, Opts{MaxSeries: 3})
	single := s.NewCounter(prometheus.CounterOpts{Name: "single_total", Help: "h"})
	vec := s.NewCounterVec(prometheus.CounterOpts{Name: "vec_total", Help: "h"}, []string{"a", "b"})
	single.Inc()
	vec.WithLabelValues("1", "x").Inc()
	vec.WithLabelValues("1", "x").Inc()
	w.is("enter single_total, enter vec_total 1 x")
	var got [layout.CounterWords]uint64
	if vec.WithLabelValues("1", "x").(instrument.Instrument).Load(got[:]); got[0] != 2 {
		t.Errorf("loaded %v, want 2", got)
	}

	vec.DeleteLabelValues("1", "x")
	vec.WithLabelValues("1", "x").Inc()
	w.is("hand vec_total 1 x")

	vec.WithLabelValues("2", "y").Inc()
	vec.WithLabelValues("3", "z").Inc() // beyond
	w.is("enter vec_total 2 y")
	s.countDropped()
	w.is("enter mpmetrics_dropped_series_total")

	vec.DeleteLabelValues("3", "z")
	vec.WithLabelValues("3", "z").Inc() // beyond, as before
	w.is("depart vec_total 3 z")

	vec.DeleteLabelValues("2", "y")
	s.catalog.Sweep(true)
	w.is("share vec_total 2 y, depart vec_total 2 y, enter vec_total 3 z") // in its place
	if vec.WithLabelValues("3", "z").(instrument.Instrument).Load(got[:]); got[0] != 1 {
		t.Errorf("loaded %v, want 1: what was counted beyond the limit", got)
	}

	vec.DeleteLabelValues("3", "z")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.is("share vec_total 3 z, depart vec_total 3 z, flush, close")
	if err := s.Close(); err != nil || len(w.take()) > 0 {
		t.Error("closed twice")
	}
}

// A place is given what has changed in the mirror, and only that; a flush that fails is
// shown until one succeeds.
func TestPlaceIsGivenChanges(t *testing.T) {
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
		w.change = place.Mirrored{}
		_ = s.Flush(context.Background())
		w.is("flush")
		if got := names(w.change.Families); got != families {
			t.Errorf("%s: families %q were staged, want %q", what, got, families)
		}
		if got := names(w.change.Exemplars); got != exemplars {
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
	if value, there := w.change.Families["other"]; !there || value != nil {
		t.Errorf("the gauge that is there no more is %q", value)
	}

	w.broken = errors.New("out of order")
	other.Inc()
	step("in vain", "other_total", "")
	if got := s.Degraded(); !errors.Is(got, w.broken) {
		t.Errorf("degraded: %v", got)
	}
	w.broken = nil
	step("again", "", "") // the place has it
	if got := s.Degraded(); got != nil {
		t.Errorf("degraded: %v", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A store that cannot be opened says so, and begins nothing.
func TestPlaceCannotOpen(t *testing.T) {
	w := witnessed(t)
	w.broken = errors.New("out of order")
	if _, err := Open(Opts{Location: "witness://here"}); !errors.Is(err, w.broken) {
		t.Errorf("open: %v", err)
	}
	w.is("open")
}
