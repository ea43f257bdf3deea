package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// Options without a meaning are errors of Open that name the field and the remedy, all at
// once; the default store counts in memory and says why.
func TestOptsAreChecked(t *testing.T) {
	for _, c := range []struct {
		name string
		opts store.Opts
		text []string
	}{
		{name: "a negative interval", opts: store.Opts{FlushInterval: -time.Second}, text: []string{"Opts.FlushInterval is -1s", "want a positive duration"}},
		{name: "a negative limit", opts: store.Opts{MaxSeries: -1}, text: []string{"Opts.MaxSeries is -1", "want 1 to 1048576"}},
		{name: "a limit that no reader accepts", opts: store.Opts{MaxSeries: 1 << 30}, text: []string{"Opts.MaxSeries is 1073741824"}},
		{name: "two at once", opts: store.Opts{MaxSeries: -1, FlushInterval: -1}, text: []string{"Opts.MaxSeries", "Opts.FlushInterval"}},
		{name: "a mode that is none", opts: store.Opts{Modes: map[string]store.MergeMode{"x": 77}}, text: []string{`mode for "x"`}},
		{name: "a pattern that is none", opts: store.Opts{Modes: map[string]store.MergeMode{"[": store.Max}}, text: []string{`mode for "["`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, location := range []string{t.TempDir(), "memory:"} {
				c.opts.Location, c.opts.Logger = location, silent
				s, err := store.Open(c.opts)
				if err == nil {
					s.Close()
					t.Fatalf("%s: no error", location)
				}
				for _, text := range c.text {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("%s: error %q does not say %q", location, err, text)
					}
				}
			}
		})
	}
}

// A job learns from Flush whether its counts arrived.
func TestFlushSaysWhetherCountsArrived(t *testing.T) {
	s := open(t, store.Opts{Location: t.TempDir()})
	s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
	if err := s.Flush(context.Background()); err != nil {
		t.Errorf("into a directory: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(context.Background()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
	if err := open(t, store.Opts{Location: "memory:"}).Flush(context.Background()); err != nil {
		t.Errorf("in memory: %v", err)
	}
}

// Series that wait for room are published by Flush, without any background work.
func TestFlushPublishesWaitingSeries(t *testing.T) {
	s, err := store.OpenIdle(store.Opts{Location: t.TempDir(), Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	vec := s.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"n"})
	for n := range 5000 {
		vec.WithLabelValues(strings.Repeat("x", n%200) + time.Duration(n).String()).Inc()
	}
	if s.Pending() == 0 {
		t.Fatal("no series waits: the burst is too small for this test")
	}
	if err := s.Flush(context.Background()); err != nil {
		t.Errorf("flush: %v", err)
	}
	if n := s.Pending(); n != 0 {
		t.Errorf("%d series still wait", n)
	}
}
