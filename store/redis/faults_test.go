//go:build unix

package redis_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/big"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/valkey-io/valkey-go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/redisserver"
)

// watcher scrapes all the time through a connection of its own.
type watcher struct {
	t         *testing.T
	registry  *prometheus.Registry
	collector *collector.Collector
	counted   func() uint64 // steps that may have been counted by now
	losses    atomic.Int64  // how often the server has lost something, or is about to

	shown, silent, dips int
	last                float64
	lastLosses          int64
}

func newWatcher(t *testing.T, location string, counted func() uint64) *watcher {
	w := &watcher{t: t, counted: counted, registry: prometheus.NewRegistry()}
	w.collector = collector.New(collector.Opts{Location: location, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() { _ = w.collector.Close() })
	w.registry.MustRegister(w.collector)
	return w
}

// scrape returns what is shown, by name and label.
func (w *watcher) scrape() map[string]*dto.Metric {
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Error(err)
	}
	all := map[string]*dto.Metric{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += "/" + l.GetValue()
			}
			all[name] = m
		}
	}
	return all
}

// look checks one scrape: totals that are shown never exceed what was counted, and are
// lower than before only when the server has lost something meanwhile. While a total would
// be short, mpmetrics_up is 0 and there is none.
func (w *watcher) look() {
	before := w.losses.Load()
	all := w.scrape()
	up := all["mpmetrics_up"].GetGauge().GetValue() == 1
	m := all["steps_total"]
	if !up {
		w.silent++
		if m != nil {
			w.t.Errorf("mpmetrics_up is 0, and %v is shown", m)
		}
		return
	}
	if m == nil {
		return
	}
	w.shown++
	v := m.Counter.GetValue()
	if most := w.counted(); v > float64(most) {
		w.t.Errorf("%v is shown, and %d were counted", v, most)
	}
	if h := all["size"].GetHistogram(); h == nil || float64(h.GetSampleCount()) != h.GetSampleSum() {
		w.t.Errorf("histogram %v", h)
	}
	after := w.losses.Load()
	if v < w.last {
		if w.dips++; after == w.lastLosses {
			w.t.Errorf("%v is shown after %v, and the server has lost nothing", v, w.last)
		}
	}
	w.last, w.lastLosses = v, before
}

// faults is one run.
type faults struct {
	*testing.T
	server   *redisserver.Server
	proxy    *proxy
	watcher  *watcher
	clean    string // location past the proxy
	steps    int    // of each writer
	absorbed atomic.Int64

	mu      sync.Mutex
	writers []*writer
}

func (f *faults) all() []*writer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.writers)
}

func (f *faults) living() []*writer {
	return slices.DeleteFunc(f.all(), func(w *writer) bool { return w.killed })
}

func (f *faults) start(victim bool) {
	w := startWriter(f.T, f.proxy.url("namespace=shop"), fmt.Sprint("w", len(f.all())), victim, f.steps)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writers = append(f.writers, w)
}

func (f *faults) counted() (most uint64) {
	for _, w := range f.all() {
		_, n := w.bounds()
		most += n
	}
	return most
}

// lose does what makes the server lose something. What the living have counted comes
// again; of the dead nobody knows any more.
func (f *faults) lose(do func()) {
	f.watcher.losses.Add(1)
	do()
	for _, w := range f.all() {
		w.mu.Lock()
		w.lost = w.lost || w.killed
		w.mu.Unlock()
	}
	f.watcher.losses.Add(1)
}

// run does something all the time until the function that it returns is called.
func (f *faults) run(do func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			do()
		}
	})
	return func() {
		cancel()
		all.Wait()
	}
}

func (f *faults) absorb() {
	report, err := compact.Run(context.Background(), f.clean, compact.Opts{Logger: slog.New(slog.DiscardHandler)})
	f.absorbed.Add(int64(report.Absorbed))
	if err == nil || errors.Is(err, compact.ErrBusy) {
		time.Sleep(20 * time.Millisecond) // leave the server some time for others
	}
}

// restart ends the server at once, and starts it with other flags.
func (f *faults) restart(persistent bool) {
	f.server.Kill()
	f.server.Flags("--appendonly", map[bool]string{true: "yes", false: "no"}[persistent], "--appendfsync", "always")
	f.server.Again()
}

// progress waits until the living count on.
func (f *faults) progress() {
	for _, w := range f.living() {
		least, _ := w.bounds()
		promtest.Eventually(f, w.label+" to publish", func() bool {
			now, _ := w.bounds()
			return now > least || w.said(doneAt) == 1
		})
	}
}

// pause stops a writer until it is absorbed, as all who are dead, and lets it go on.
func (f *faults) pause(w *writer) {
	w.signal(syscall.SIGSTOP)
	defer w.signal(syscall.SIGCONT)
	others := fmt.Sprint(len(f.living()) - 1)
	promtest.Eventually(f, w.label+" to be absorbed", func() bool {
		return f.server.Do("zcard", "{mpmetrics:shop}:processes") == others
	})
}

// Processes count through a network that loses answers, and carries commands out twice,
// late and out of order, while the server restarts with and without what it had, loses
// everything and forgets its scripts, and processes are stopped, absorbed and killed.
// Whoever lives is exact in the end, to the last bit; of the killed one interval may be
// missing; and what is shown meanwhile neither doubles nor dips.
func TestFaults(t *testing.T) {
	t.Parallel()
	steps := 100_000
	if effort.Soak() {
		steps = 1_000_000
	}
	const writers, victims, restarts = 5, 3, 20
	server := redisserver.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	f := &faults{T: t, server: server, proxy: newProxy(t, server.Addr()), clean: server.URL("namespace=shop"), steps: steps / writers}
	f.watcher = newWatcher(t, f.clean, f.counted)
	f.proxy.faulty.Store(true)
	f.control()

	for n := range writers {
		f.start(n < victims)
	}
	stopAbsorbing, stopWatching := f.run(f.absorb), f.run(f.watcher.look)
	killed := 0
	for round := range restarts {
		f.progress()
		living := f.living()
		w := living[round%len(living)]
		switch round % 5 {
		case 1:
			f.pause(w)
		case 2:
			f.lose(func() { server.Do("flushall") })
		case 3:
			server.Do("script", "flush")
		case 4:
			for _, w := range living {
				if w.victim {
					w.kill()
					killed++
					f.start(false)
					break
				}
			}
		}
		// Nothing on the disk from the fifth to the eighth and so on: then what it has next is
		// from before, a state that it had long ago.
		persistent, was := round/4%2 == 0, round == 0 || (round-1)/4%2 == 0
		if persistent && was {
			f.restart(persistent)
		} else {
			f.lose(func() { f.restart(persistent) })
		}
	}
	f.until("counting", f.counting)
	f.proxy.faulty.Store(false)
	f.until("all is well again", f.differs)
	for _, w := range f.living() {
		if err := w.end(); err != nil {
			t.Errorf("%s: %v", w.label, err)
		}
	}
	f.until("all have ended", f.differs)
	stopAbsorbing()
	stopWatching()
	w := f.watcher
	t.Logf("%d steps of %d processes, %d killed, %d restarts, %d absorbed; commands answered, unheard, repeated, postponed, slow: %v; scrapes: %d shown, %d withheld, %d dips",
		f.counted(), len(f.writers), killed, restarts, f.absorbed.Load(), f.proxy.counts(), w.shown, w.silent, w.dips)
	if w.shown == 0 || f.absorbed.Load() == 0 {
		t.Error("nothing was tested")
	}
}

func (p *proxy) counts() (all [fates]int64) {
	for i := range all {
		all[i] = p.fates[i].Load()
	}
	return all
}

// until waits until there is no reason why not.
func (f *faults) until(what string, why func() string) {
	f.Helper()
	patience := time.Minute
	if effort.Soak() {
		patience = 30 * time.Minute // they have more to count
	}
	for limit := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		reason := why()
		if reason == "" {
			return
		}
		if time.Now().After(limit) {
			f.Fatalf("%s: %s", what, reason)
		}
	}
}

// counting says who has not counted all of its steps.
func (f *faults) counting() string {
	for _, w := range f.living() {
		if w.said(doneAt) != 1 {
			return w.label + " counts"
		}
	}
	return ""
}

// differs says how what is shown is not exact.
func (f *faults) differs() string {
	all := f.newScrape()
	whole, float := uint64(0), new(big.Float).SetPrec(2000)
	for _, w := range f.all() {
		steps := uint64(all["writer_steps_total/"+w.label].GetCounter().GetValue())
		sum := all["fraction_total/"+w.label].GetCounter().GetValue()
		least, most := w.bounds()
		if !w.killed {
			least, most = uint64(w.steps), uint64(w.steps)
		}
		if steps < least || steps > most {
			return fmt.Sprintf("%s: %d steps, want %d to %d", w.label, steps, least, most)
		}
		if n := nearSteps(sum); n < least || n > most || sum != fractions(n) {
			return fmt.Sprintf("%s: %v, want %d to %d times %v as it adds them up", w.label, sum, least, most, fraction)
		}
		whole += steps
		if !w.victim {
			float.Add(float, big.NewFloat(sum))
		}
	}
	want, _ := float.Float64()
	if sum := all["group_fraction_total/false"].GetCounter().GetValue(); sum != want {
		return fmt.Sprintf("those who live: %v, want %v", sum, want)
	}
	// What is flushed of several series is of several moments.
	got := uint64(all["steps_total"].GetCounter().GetValue())
	if killed := len(f.all()) - len(f.living()); killed == 0 && got != whole || got > f.counted() {
		return fmt.Sprintf("%d steps, want %d", got, whole)
	}
	if h := all["size"].GetHistogram(); float64(h.GetSampleCount()) != h.GetSampleSum() || h.Bucket[0].GetCumulativeCount() != h.GetSampleCount() {
		return fmt.Sprintf("histogram %v", h)
	}
	return ""
}

// newScrape is that of a collector that knows nothing yet.
func (f *faults) newScrape() map[string]*dto.Metric {
	w := newWatcher(f.T, f.clean, nil)
	defer w.collector.Close()
	return w.scrape()
}

// control counts the same way as many do: HINCRBYFLOAT, tried again when it fails.
func (f *faults) control() {
	f.Helper()
	c, err := valkey.NewClient(valkey.ClientOption{InitAddress: []string{f.proxy.ln.Addr().String()}, DisableCache: true})
	if err != nil {
		f.Fatal(err)
	}
	defer c.Close()
	const steps = 1000
	for range steps {
		increment := c.B().Hincrbyfloat().Key("control").Field("x").Increment(1).Build().Pin()
		promtest.Eventually(f, "an increment", func() bool { return c.Do(context.Background(), increment).Error() == nil })
	}
	got, err := c.Do(context.Background(), c.B().Hget().Key("control").Field("x").Build()).AsFloat64()
	if err != nil {
		f.Fatal(err)
	}
	f.Logf("control: HINCRBYFLOAT has counted %v of %d", got, steps)
	if math.Abs(got-steps) < 1 {
		f.Errorf("HINCRBYFLOAT is exact: %v: there are no faults", got)
	}
}
