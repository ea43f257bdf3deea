package store_test

import (
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

// useEnv tells a child of TestFirstUseInABubble which use is the first.
const useEnv = "MPMETRICS_TEST_USE"

// firstUses are ways to need the default store. Each counts 1 in c_total.
var firstUses = map[string]func(){
	"counter": func() { store.NewCounter(counterOpts).Inc() },
	"vec": func() {
		store.NewCounterVec(counterOpts, []string{"a"}).WithLabelValues("x").Inc()
	},
	"default": func() {
		s := store.Default()
		s.NewCounter(counterOpts).Inc()
	},
	"registerer": func() {
		c := prometheus.NewCounter(counterOpts)
		store.Default().Registerer().MustRegister(c)
		c.Inc()
	},
	"beside work in the bubble": func() {
		c := store.NewCounter(counterOpts)
		go func() {
			time.Sleep(time.Hour) // of the bubble
			c.Inc()
		}()
		synctest.Wait()
		time.Sleep(2 * time.Hour)
	},
	"of many series": func() {
		vec := store.NewGaugeVec(gaugeOpts, []string{"a"}, store.Sum)
		for i := range 3000 { // more than the first slabs hold
			vec.WithLabelValues(strings.Repeat("x", i)).Inc()
		}
		store.NewCounter(counterOpts).Inc()
	},
}

// The first use of a metric in a bubble of testing/synctest opens the default store, whose background
// work goes on after the end of the bubble.
func TestFirstUseInABubble(t *testing.T) {
	if use := firstUses[os.Getenv(useEnv)]; use != nil {
		t.Setenv(store.EnvDir, os.Getenv(directoryEnv))
		synctest.Test(t, func(*testing.T) { use() })
		if err := store.Default().Close(); err != nil { // goleak is content after Close
			t.Error(err)
		}
		return
	}
	for name := range firstUses {
		child := reexec.Again(t)
		t.Run(name, func(t *testing.T) {
			dir := inMemory(t)
			child.Env = append(child.Env, useEnv+"="+name, directoryEnv+"="+dir)
			if out, err := child.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			got := 0.0
			for key, v := range merged(registry(collector.New(collector.Opts{Location: dir}))) {
				if strings.HasPrefix(key, "c_total") {
					got += v
				}
			}
			if got != 1 {
				t.Errorf("c_total is %v, want 1", got)
			}
		})
	}
}
