package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// blocked returns a directory that cannot be used, because a file has its name.
func blocked(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(inMemory(t), "metrics")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// unblock lets the directory be used again.
func unblock(t *testing.T, dir string) {
	t.Helper()
	if err := errors.Join(os.Remove(dir), os.Mkdir(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
}

// A job that begins while its directory cannot be used, and ends before the next try, publishes by
// Close what it counted, if the directory is back; otherwise Close says that the counts are lost.
func TestCloseOfADegradedStore(t *testing.T) {
	for _, tt := range []struct {
		name  string
		count func(*store.Store)
		want  map[string]float64 // of others, once the directory is back
	}{
		{name: "nothing", count: func(*store.Store) {}, want: map[string]float64{}},
		{
			name:  "counter",
			count: func(s *store.Store) { s.NewCounter(counterOpts).Add(1000) },
			want:  map[string]float64{"c_total": 1000},
		},
		{
			name: "vec, of which a series was deleted",
			count: func(s *store.Store) {
				v := s.NewGaugeVec(gaugeOpts, []string{"a"}, store.Sum)
				v.WithLabelValues("x").Set(3)
				v.WithLabelValues("y").Set(4)
				v.DeleteLabelValues("y")
			},
			want: map[string]float64{"g/x": 3},
		},
		{
			name: "foreign collector alone",
			count: func(s *store.Store) {
				c := prometheus.NewCounter(prometheus.CounterOpts{Name: "foreign_total", Help: "h"})
				s.Registerer().MustRegister(c)
				c.Add(5)
			},
			want: map[string]float64{"foreign_total": 5},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := blocked(t)
			s := store.OpenDegraded(t, store.Opts{Location: dir, FlushInterval: time.Hour, Logger: silent})
			tt.count(s)
			unblock(t, dir)
			if err := s.Close(); err != nil {
				t.Errorf("the directory is back: %v", err)
			}
			if got := withoutSelf(mergedOf(t, dir)); !equalValues(got, tt.want) {
				t.Errorf("others see %v, want %v", got, tt.want)
			}

			s = store.OpenDegraded(t, store.Opts{Location: blocked(t), FlushInterval: time.Hour, Logger: silent})
			tt.count(s)
			err := s.Close()
			if lost := len(tt.want) > 0; lost && !errors.Is(err, syscall.ENOTDIR) || !lost && err != nil {
				t.Errorf("the directory is not back, %d series are lost: got %v", len(tt.want), err)
			}
			if err := s.Close(); err != nil {
				t.Errorf("closed again: %v", err)
			}
		})
	}
}

func equalValues(got, want map[string]float64) bool {
	for name, v := range want {
		if got[name] != v {
			return false
		}
	}
	return len(got) == len(want)
}

// The memory of a store has what lives, whether the directory can be used or not, and also after
// Close: nothing leads to the instruments of series that came and went.
func TestMemoryOfSeriesThatComeAndGo(t *testing.T) {
	const (
		series = 500
		few    = 5 // a stack or a queue of the runtime may still have the last ones
	)
	kinds := map[string]func(*store.Store) (make func(id string) any, remove func(id string)){
		"counter": func(s *store.Store) (func(string) any, func(string)) {
			v := s.NewCounterVec(counterOpts, []string{"id"})
			return func(id string) any {
				c := v.WithLabelValues(id)
				c.(prometheus.ExemplarAdder).AddWithExemplar(1, prometheus.Labels{"trace": id})
				return c
			}, func(id string) { v.DeleteLabelValues(id) }
		},
		"histogram": func(s *store.Store) (func(string) any, func(string)) {
			v := s.NewHistogramVec(histogramOpts, []string{"id"})
			return func(id string) any {
				h := v.WithLabelValues(id)
				h.(prometheus.ExemplarObserver).ObserveWithExemplar(1, prometheus.Labels{"trace": id})
				return h
			}, func(id string) { v.DeleteLabelValues(id) }
		},
		"gauge": func(s *store.Store) (func(string) any, func(string)) {
			v := s.NewGaugeVec(gaugeOpts, []string{"id"}, store.Sum)
			return func(id string) any {
				g := v.WithLabelValues(id)
				g.Set(1)
				return g
			}, func(id string) { v.DeleteLabelValues(id) }
		},
	}
	for _, state := range []string{"usable", "degraded", "closed", "closed while degraded"} {
		for name, kind := range kinds {
			t.Run(state+"/"+name, func(t *testing.T) {
				store.SetTickFor(t, time.Millisecond)
				o := store.Opts{FlushInterval: time.Hour, Logger: silent}
				var s *store.Store
				if state == "usable" || state == "closed" {
					o.Location = inMemory(t)
					s = open(t, o)
				} else {
					o.Location = blocked(t)
					s = store.OpenDegraded(t, o)
					t.Cleanup(func() { _ = s.Close() }) // says what is lost
				}
				makeSeries, remove := kind(s)
				var left atomic.Int64
				comeAndGo := func(from int) {
					for n := from; n < from+series; n++ {
						id := strconv.Itoa(n)
						left.Add(1)
						onceCollected(t, makeSeries(id), func() { left.Add(-1) })
						remove(id)
					}
				}
				comeAndGo(0)
				if state == "closed" || state == "closed while degraded" {
					_ = s.Close()
					comeAndGo(series)
				}
				gone := promtest.Within(promtest.Patience, func() bool {
					runtime.GC()
					return left.Load() <= few
				})
				if !gone {
					t.Errorf("%d instruments of series that were deleted are in memory", left.Load())
				}
				runtime.KeepAlive(s)
			})
		}
	}
}

// onceCollected calls do as soon as nothing leads to an instrument.
func onceCollected(t *testing.T, i any, do func()) {
	t.Helper()
	call := func(do func()) { do() }
	switch i := i.(type) {
	case *instrument.Counter:
		runtime.AddCleanup(i, call, do)
	case *instrument.Histogram:
		runtime.AddCleanup(i, call, do)
	case *instrument.Gauge:
		runtime.AddCleanup(i, call, do)
	default:
		t.Fatalf("%T is no instrument", i)
	}
}
