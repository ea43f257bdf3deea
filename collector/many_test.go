package collector_test

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// After Close a collector sends nothing, and holds nothing: goleak and the
// descriptors say so.
func TestClose(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(store.Opts{Location: "memory:"})
	if err != nil {
		t.Fatal(err)
	}
	s.NewCounter(prometheus.CounterOpts{Name: "own_total", Help: "h"}).Inc()
	for i := range 5 {
		open(t, dir, strconv.Itoa(i)).NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
	}
	for name, o := range map[string]collector.Opts{"directory": {Location: dir}, "memory": {Store: s}} {
		before := descriptors(t)
		c := collector.New(o)
		r := prometheus.NewRegistry()
		r.MustRegister(c)
		if len(scrape(t, r)) != 1 {
			t.Fatal("nothing there")
		}
		for range 2 {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
		if got := promtest.Flatten(promtest.Gather(t, r)); len(got) != 0 {
			t.Errorf("%s: after Close: %v", name, got)
		}
		if after := descriptors(t); after != before {
			t.Errorf("%s: descriptors: %d after Close, %d before New", name, after, before)
		}
	}
}

// descriptors counts the open files below a directory of tests. Where that
// cannot be known it is always 0.
func descriptors(t testing.TB) (n int) {
	t.Helper()
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasSuffix(to, layout.Extension) {
			n++
		}
	}
	return n
}

// Several scrapes at once take turns, while processes come, count and go. A
// total never goes back.
func TestConcurrentScrapes(t *testing.T) {
	dir := t.TempDir()
	c := collector.New(collector.Opts{Location: dir, Logger: slog.New(slog.DiscardHandler)})
	defer c.Close()
	stop := make(chan struct{})
	var wg, scrapes sync.WaitGroup
	for range 3 {
		scrapes.Go(func() {
			r := prometheus.NewRegistry()
			r.MustRegister(c)
			last := 0.0
			for {
				select {
				case <-stop:
					return
				default:
				}
				families, err := r.Gather()
				if err != nil {
					t.Errorf("gather: %v", err)
					return
				}
				for _, f := range families {
					if _, err := expfmt.MetricFamilyToText(io.Discard, f); err != nil {
						t.Errorf("encode: %v", err)
					}
				}
				got := promtest.Flatten(families)
				if got["mpmetrics_up"] != 1 {
					continue
				}
				if got["c_total"] < last {
					t.Errorf("total went from %v to %v", last, got["c_total"])
				}
				last = got["c_total"]
			}
		})
	}
	const workers, rounds, each = 2, 15, 50
	for range workers {
		wg.Go(func() {
			for range rounds {
				s, err := store.Open(store.Opts{Location: dir})
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				counter := s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
				vec := s.NewCounterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, []string{"a"})
				for i := range each {
					counter.Inc()
					vec.WithLabelValues(strconv.Itoa(i)).Inc()
				}
				if err := s.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}
		})
	}
	wg.Wait()
	close(stop)
	scrapes.Wait()
	got := fresh(t, dir)
	if got["c_total"] != workers*rounds*each || len(got) != 1+each {
		t.Errorf("in the end: %v in %d series, want %d in %d", got["c_total"], len(got), workers*rounds*each, 1+each)
	}
}
