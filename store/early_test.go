package store_test

import (
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() {
	// job ends without Close, long before the first interval does.
	programs["job"] = func(p *program) {
		promauto.With(store.Default().Registerer()).NewCounter(prometheus.CounterOpts{Name: "rows_total", Help: "h"}).Add(10)
		time.Sleep(300 * time.Millisecond)
	}
	programs["collectors before the store"] = func(p *program) {
		r := store.Registerer()
		promauto.With(r).NewCounter(prometheus.CounterOpts{Name: "early_total", Help: "h"}).Add(2)
		promauto.With(prometheus.WrapRegistererWithPrefix("wrapped_", r)).NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}).Set(3)
		gone := prometheus.NewCounter(prometheus.CounterOpts{Name: "gone_total", Help: "h"})
		r.MustRegister(gone)
		if !r.Unregister(gone) || r.Unregister(gone) {
			p.errorf("a collector is not unregistered exactly once")
		}
		if err := r.Register(prometheus.NewCounter(prometheus.CounterOpts{Name: "early_total", Help: "other"})); err == nil {
			p.errorf("a second early_total is registered")
		}
		if panicOf(func() { store.NewCounter(prometheus.CounterOpts{Name: "early_total", Help: "h"}) }) == nil {
			p.errorf("an instrument of the name early_total is made")
		}
		dir := os.Getenv(directoryEnv)
		p.equal("files before", len(files(dir)), 0)
		s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			p.errorf("%v", err)
			return
		}
		if err := store.SetDefault(s); err != nil {
			p.errorf("%v", err)
		}
		if err := r.Register(prometheus.NewCounter(prometheus.CounterOpts{Name: "early_total", Help: "h"})); err == nil {
			p.errorf("afterwards a second early_total is registered")
		}
		promauto.With(r).NewCounter(prometheus.CounterOpts{Name: "late_total", Help: "h"}).Add(4)
		if err := s.Close(); err != nil {
			p.errorf("%v", err)
		}
	}
}

// Jobs that forget Close do not lose all that was counted through a Registerer.
func TestShortJobsAreLookedAtEarly(t *testing.T) {
	dir := inMemory(t)
	const jobs = 8
	for range jobs {
		cmd := reexec.Command("job")
		cmd.Env = append(cmd.Env, store.EnvDir+"="+dir)
		defer reexec.Run(t, cmd).End()
	}
	promtest.Eventually(t, fmt.Sprintf("%d rows of all jobs", 10*jobs), func() bool { return mergedOf(t, dir)["rows_total"] == 10*jobs })
}

// Collectors may be registered before the default store is opened.
func TestCollectorsBeforeTheStore(t *testing.T) {
	dir := inMemory(t)
	run(t, "collectors before the store", directoryEnv+"="+dir)
	got := mergedOf(t, dir)
	for name, want := range map[string]float64{"early_total": 2, "late_total": 4, "wrapped_g": 0, "gone_total": 0} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}
