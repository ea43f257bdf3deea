//go:build unix

package redis_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/redisserver"
	"github.com/mpmetrics/mpmetrics/internal/testing/storetest"
	"github.com/mpmetrics/mpmetrics/store"
)

// counting is a store in this process with a counter.
func counting(t *testing.T, location string) (*store.Store, prometheus.Counter) {
	t.Helper()
	s, err := store.Open(store.Opts{Location: location, NoAbsorption: true, FlushInterval: writerInterval, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, s.NewCounter(prometheus.CounterOpts{Name: "steps_total", Help: "h"})
}

// comesTo waits until a scrape shows a number of steps.
func comesTo(t *testing.T, w *watcher, want float64) {
	t.Helper()
	promtest.Eventually(t, fmt.Sprint(want, " steps"), func() bool {
		return w.scrape()["steps_total"].GetCounter().GetValue() == want
	})
}

func TestCluster(t *testing.T) {
	cluster := redisserver.StartCluster(t)
	for i := range 4 { // namespaces that are on several nodes
		location := cluster.URL(fmt.Sprint("namespace=", i))
		s, c := counting(t, location)
		c.Add(2)
		if s.Flush(context.Background()) != nil {
			t.Fatal(s.Degraded())
		}
		w := newWatcher(t, location, nil)
		comesTo(t, w, 2)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		f := &faults{T: t, clean: location}
		promtest.Eventually(t, "an absorption", func() bool { f.absorb(); return f.absorbed.Load() == 1 })
		comesTo(t, w, 2)
	}
	if effort.Soak() {
		conform(t, cluster.URL)
	}
}

func TestSentinel(t *testing.T) {
	sentinel := redisserver.StartSentinel(t)
	if effort.Soak() {
		conform(t, sentinel.URL)
	}
	location := sentinel.URL("namespace=failover")
	s, c := counting(t, location)
	w := newWatcher(t, location, nil)
	for n := range 100 {
		c.Inc()
		if n%10 == 0 {
			_ = s.Flush(context.Background())
		}
	}
	_ = s.Flush(context.Background())
	comesTo(t, w, 100)
	sentinel.Failover()
	c.Inc()
	begun := time.Now()
	comesTo(t, w, 101)
	t.Logf("exact %v after the replica became the master", time.Since(begun).Round(time.Millisecond))
}

// conform runs the conformance suite.
func conform(t *testing.T, url func(parameters string) string) {
	n := 0
	storetest.Run(t, storetest.Backend{
		Location: func(testing.TB) string { n++; return url(fmt.Sprintf("namespace=conform-%d", n)) },
		Lacks:    lacks,
	})
}
