package store_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// lines is a log handler that counts.
type lines struct {
	slog.Handler
	n  *atomic.Int64
	do func(slog.Record) // may be nil
}

func (l lines) Enabled(context.Context, slog.Level) bool { return true }

func (l lines) Handle(_ context.Context, r slog.Record) error {
	if l.do != nil {
		l.do(r)
	}
	l.n.Add(1)
	return nil
}

// logTo makes a counting handler the default logger.
func logTo(do func(slog.Record)) *atomic.Int64 {
	l := lines{Handler: slog.DiscardHandler, n: new(atomic.Int64), do: do}
	slog.SetDefault(slog.New(l))
	return l.n
}

func init() {
	programs["define only"] = func(p *program) {
		store.NewCounterVec(counterOpts, []string{"a"})
		store.NewGauge(gaugeOpts)
		store.NewHistogram(histogramOpts)
		p.equal("files", len(files(os.Getenv(store.EnvDir))), 0)
	}
	programs["late environment"] = func(p *program) {
		c := store.NewCounter(counterOpts)
		vec := store.NewCounterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, []string{"a"})
		dir := os.Getenv(directoryEnv)
		os.Setenv(store.EnvDir, dir)
		os.Setenv(store.EnvProcess, "seven")
		vec.WithLabelValues("x").Inc()
		c.Inc()
		store.NewGauge(gaugeOpts, store.All).Set(3) // defined after the binding
		p.equal("files", len(files(dir)), 1)
		got := merged(registry(collector.New(collector.Opts{})))
		p.equal("merged", withoutSelf(got), map[string]float64{"c_total": 1, "v_total/x": 1, "g/seven": 3})
		p.equal("directory", store.Default().Location(), dir)
	}
	// Each kind of instrument may be the first that is used.
	for name, do := range map[string]func() func(){
		"counter":   func() func() { c := store.NewCounter(counterOpts); return func() { c.Add(0.5) } },
		"gauge":     func() func() { g := store.NewGauge(gaugeOpts); return g.Dec },
		"set":       func() func() { g := store.NewGauge(gaugeOpts); return func() { g.Set(1) } },
		"recent":    func() func() { g := store.NewGauge(gaugeOpts, store.MostRecent); return g.Inc },
		"histogram": func() func() { h := store.NewHistogram(histogramOpts); return func() { h.Observe(1) } },
		"summary":   func() func() { s := store.NewSummary(summaryOpts); return func() { s.Observe(1) } },
		"vec": func() func() {
			v := store.NewGaugeVec(gaugeOpts, []string{"a"})
			return func() { v.WithLabelValues("x") }
		},
		"collector": func() func() { return func() { collector.New(collector.Opts{}) } },
	} {
		programs["first use: "+name] = func(p *program) {
			use := do()
			dir := os.Getenv(store.EnvDir)
			p.equal("files before", len(files(dir)), 0)
			// All at once: the binding happens once.
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(use)
			}
			wg.Wait()
			p.equal("files after", len(files(dir)), 1)
		}
	}
	programs["set default"] = func(p *program) {
		c := store.NewCounter(counterOpts)
		s, err := store.Open(store.Opts{Location: os.Getenv("OWN"), Process: "own"})
		if err != nil {
			p.errorf("%v", err)
			return
		}
		if err := store.SetDefault(nil); err == nil {
			p.errorf("no error for nil")
		}
		clash, err := store.Open(store.Opts{Location: "memory:"})
		if err != nil {
			p.errorf("%v", err)
		}
		clash.NewCounter(counterOpts)
		if err := store.SetDefault(clash); err == nil {
			p.errorf("no error for a store that has c_total already")
		}
		if err := store.SetDefault(s); err != nil {
			p.errorf("set default: %v", err)
		}
		c.Inc()
		store.NewCounter(prometheus.CounterOpts{Name: "later_total", Help: "h"}).Inc()
		if store.Default() != s {
			p.errorf("the default is another one")
		}
		if err := store.SetDefault(s); err == nil {
			p.errorf("no error for the second time")
		}
		p.equal("merged", withoutSelf(merged(registry(collector.New(collector.Opts{})))), map[string]float64{"c_total": 1, "later_total": 1})
		p.equal("files of the environment", len(files(os.Getenv(store.EnvDir))), 0)
	}
	programs["set default too late"] = func(p *program) {
		c := store.NewCounter(counterOpts)
		c.Inc()
		s, err := store.Open(store.Opts{Location: "memory:"})
		if err != nil {
			p.errorf("%v", err)
		}
		if err := store.SetDefault(s); err == nil {
			p.errorf("no error although a metric has bound")
		}
		c.Inc()
		p.equal("value", testutil.ToFloat64(c), 2.0)
	}
	programs["nothing configured"] = func(p *program) {
		n := logTo(nil)
		c := store.NewCounter(counterOpts)
		c.Inc()
		got := merged(registry(collector.New(collector.Opts{})))
		p.equal("through the collector", withoutSelf(got), map[string]float64{"c_total": 1})
		p.equal("directory", store.Default().Location(), "")
		p.equal("log lines", n.Load(), int64(0))
	}
	programs["on a disk"] = func(p *program) {
		n := logTo(nil)
		for range 2 {
			s, err := store.Open(store.Opts{Location: os.Getenv(directoryEnv)})
			if err != nil {
				p.errorf("%v", err)
				return
			}
			defer s.Close()
		}
		if !promtest.Within(promtest.Patience, func() bool { return n.Load() > 0 }) {
			p.errorf("no warning")
		}
		p.equal("warnings of two stores", n.Load(), int64(1))
	}
	programs["duplicates"] = func(p *program) {
		store.NewCounter(counterOpts)
		if panicOf(func() { store.NewCounter(counterOpts) }) == nil {
			p.errorf("no panic for a duplicate before the binding")
		}
		store.Default()
		if panicOf(func() { store.NewGauge(prometheus.GaugeOpts{Name: "c_total", Help: "h"}) }) == nil {
			p.errorf("no panic for a duplicate after the binding")
		}
		store.NewCounter(prometheus.CounterOpts{Name: "other_total", Help: "h"}).Inc()
	}
	programs["unusable"] = unusable
	programs["log handler counts lines"] = func(p *program) {
		// The handler counts with a vec of the default store, under a lock of
		// its own, as handlers that write do.
		vec := store.NewCounterVec(prometheus.CounterOpts{Name: "log_lines_total", Help: "h"}, []string{"level"})
		var mu sync.Mutex
		n := logTo(func(r slog.Record) {
			mu.Lock()
			defer mu.Unlock()
			vec.WithLabelValues(r.Level.String()).Inc()
		})
		slog.Info("the first line") // binds, falls back, and logs that
		p.eventually("both lines", func() bool { return n.Load() == 2 })
		p.equal("info lines", testutil.ToFloat64(vec.WithLabelValues("INFO")), 1.0)
		p.equal("error lines", testutil.ToFloat64(vec.WithLabelValues("ERROR")), 1.0)
	}
}

// unusable starts while the directory cannot be used: the service counts in
// memory, says so once, and publishes when the directory is there.
func unusable(p *program) {
	const interval = 20 * time.Millisecond // a second outside the tests
	store.SetTick(interval)
	dir := os.Getenv(store.EnvDir) // a file is in its way
	n := logTo(nil)
	c := store.NewCounter(counterOpts)
	vec := store.NewCounterVec(prometheus.CounterOpts{Name: "v_total", Help: "h"}, []string{"a"})
	g := store.NewGauge(gaugeOpts)
	h := store.NewHistogram(histogramOpts)
	s := store.Default()
	count := func() {
		c.Inc()
		vec.WithLabelValues("x").Add(0.5)
		g.Inc()
		h.Observe(1)
	}
	for range 3 {
		count()
	}
	if s.Degraded() == nil {
		p.errorf("not degraded")
	}
	p.equal("own value", testutil.ToFloat64(c), 3.0)
	r := registry(collector.New(collector.Opts{}))
	logged := n.Load() // by the store; the collector has not scraped
	got := merged(r)
	p.equal("shown although nothing is published", withoutSelf(got), map[string]float64{})
	degraded := 0.0
	for _, reason := range []string{"space", "permission", "unsupported", "moved", "other"} {
		degraded += got["mpmetrics_degraded/"+reason]
	}
	p.equal("degraded", degraded, 1.0)
	p.equal("log lines of the store", logged, int64(1))

	if err := os.Remove(dir); err != nil {
		p.errorf("%v", err)
	}
	begin := time.Now()
	want := func(n float64) map[string]float64 {
		return map[string]float64{"c_total": n, "v_total/x": n / 2, "g": n, "h": n}
	}
	p.eventually("published", func() bool { return len(merged(r)) > 0 && merged(r)["c_total"] == 3 })
	// The tenth interval brings the file, and the same one what waits for it.
	if took := time.Since(begin); took > 100*interval {
		p.errorf("published after %v, want about %v", took, 11*interval)
	}
	p.equal("published", fmt.Sprint(withoutSelf(merged(r))), fmt.Sprint(want(3)))
	if err := s.Degraded(); err != nil {
		p.errorf("still degraded: %v", err)
	}
	count()
	p.equal("counted into the file", fmt.Sprint(withoutSelf(merged(r))), fmt.Sprint(want(4)))
	p.equal("own value", testutil.ToFloat64(c), 4.0)
	p.equal("files", len(files(dir)), 1)
}

func TestDefaultDefineOnlyMakesNoFile(t *testing.T) {
	run(t, "define only", store.EnvDir+"="+inMemory(t))
}

func TestDiskIsWarnedOfOnce(t *testing.T) {
	dir := t.TempDir()
	if !directory.OnDisk(dir) {
		t.Skipf("%s is not known to be on a disk", dir)
	}
	run(t, "on a disk", directoryEnv+"="+dir)
}

func TestDefaultBindsLate(t *testing.T) { run(t, "late environment", directoryEnv+"="+inMemory(t)) }

func TestDefaultFirstUse(t *testing.T) {
	for name := range programs {
		if len(name) > 11 && name[:11] == "first use: " {
			t.Run(name[11:], func(t *testing.T) { run(t, name, store.EnvDir+"="+inMemory(t)) })
		}
	}
}

func TestSetDefault(t *testing.T) {
	run(t, "set default", store.EnvDir+"="+inMemory(t), "OWN="+inMemory(t))
}

func TestSetDefaultTooLate(t *testing.T) { run(t, "set default too late") }

func TestDefaultWithNothingConfigured(t *testing.T) { run(t, "nothing configured") }

func TestDefaultDuplicates(t *testing.T) { run(t, "duplicates", store.EnvDir+"="+inMemory(t)) }

func fileInTheWay(t *testing.T) string {
	t.Helper()
	path := filepath.Join(inMemory(t), "metrics")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultUnusableDirectory(t *testing.T) {
	run(t, "unusable", store.EnvDir+"="+fileInTheWay(t))
}

// A log handler that counts its lines with our metrics must not hang when the
// line is that of the default store itself.
func TestDefaultFallbackIsLoggedWithoutALock(t *testing.T) {
	run(t, "log handler counts lines", store.EnvDir+"="+fileInTheWay(t))
}
