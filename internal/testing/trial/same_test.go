//go:build unix

package trial

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

var modes = []store.MergeMode{
	store.All, store.LiveAll, store.Sum, store.LiveSum, store.Min, store.LiveMin,
	store.Max, store.LiveMax, store.MostRecent, store.LiveMostRecent, store.LiveMean,
}

var odd = []float64{0, 1, -3, 0.1, 0x1p-55, 0x1p52, 1e300, -1e-300, 41, 2.5, math.MaxInt64}

// everything makes one of each instrument, with values that depend on n.
func everything(s *store.Store, n int) {
	value := func(i int) float64 { return odd[(n+i)%len(odd)] }
	labels := prometheus.Labels{"zone": "b", "app": "x \"y\"\\\nz"}
	names := []string{"path", "code"}
	s.NewCounter(prometheus.CounterOpts{Name: "plain_total", Help: "Whole."}).Add(float64(n))
	s.NewCounter(prometheus.CounterOpts{Name: "unset_total", Help: "Nothing."})
	c := s.NewCounterVec(prometheus.CounterOpts{Namespace: "ns", Name: "both_total", Help: "Both \\ parts\n.", ConstLabels: labels}, names)
	h := s.NewHistogramVec(prometheus.HistogramOpts{Name: "duration_seconds", Help: "Times.", Unit: "seconds", ConstLabels: labels, Buckets: []float64{-1, 0.1, 2.5, 1e6}}, names)
	d := s.NewHistogram(prometheus.HistogramOpts{Name: "default_buckets", Help: "Default."})
	y := s.NewSummaryVec(prometheus.SummaryOpts{Name: "bytes", Help: "Sizes."}, names)
	for i := range odd {
		path, code := fmt.Sprintf("/\"%d\"", i%3), "é\\\n"
		c.WithLabelValues(path, code).Add(math.Abs(value(i)))
		c.WithLabelValues(path, code).Inc()
		h.WithLabelValues(path, code).Observe(value(i))
		d.Observe(value(i))
		y.WithLabelValues(path, code).Observe(value(i))
	}
	c.WithLabelValues("deleted", "").Inc()
	c.DeleteLabelValues("deleted", "")
	for _, mode := range modes {
		name := "gauge_" + mode.String()
		s.NewGauge(prometheus.GaugeOpts{Name: name, Help: "Set."}, mode).Set(value(int(mode)))
		s.NewGauge(prometheus.GaugeOpts{Name: name + "_unset", Help: "Never set."}, mode)
		s.NewGauge(prometheus.GaugeOpts{Name: name + "_nan", Help: "NaN."}, mode).Set(math.NaN())
		if mode != store.Sum { // a sum that is not finite leaves with its process
			s.NewGauge(prometheus.GaugeOpts{Name: name + "_inf", Help: "Infinite.", ConstLabels: labels}, mode).Set(math.Inf(1 - 2*(n%2)))
		}
		some := s.NewGaugeVec(prometheus.GaugeOpts{Name: name + "_some", Help: "By label, some set."}, names, mode)
		for i := range 3 {
			g := some.WithLabelValues(fmt.Sprint(i), "")
			switch (i + n) % 3 {
			case 0:
				g.Add(value(i))
			case 1:
				g.Set(math.NaN())
			}
		}
		// Deleted and made again: only the second takes part.
		again := s.NewGaugeVec(prometheus.GaugeOpts{Name: name + "_again", Help: "Made again."}, names, mode)
		again.WithLabelValues("a", "").Set(1e9)
		again.DeleteLabelValues("a", "")
		again.WithLabelValues("a", "").Set(value(2))
	}
}

// conflicting makes families that no two versions of the program agree about.
func conflicting(s *store.Store, version int) {
	help := fmt.Sprintf("Version %d.", version)
	bounds := [][]float64{{1, 2, 5}, {1, 5, 10}, {0.5, 5}}[version%3]
	s.NewHistogram(prometheus.HistogramOpts{Name: "layouts", Help: "Buckets.", Buckets: bounds}).Observe(float64(version))
	s.NewCounter(prometheus.CounterOpts{Name: "helps_total", Help: help}).Add(0.1)
	s.NewCounterVec(prometheus.CounterOpts{Name: "labels_total", Help: "Labels."}, []string{"a", "b", "c"}[version%3:]).
		WithLabelValues([]string{"1", "2", "3"}[version%3:]...).Inc()
	s.NewGauge(prometheus.GaugeOpts{Name: "modes", Help: "Modes."}, modes[version*5%len(modes)]).Set(float64(version))
	switch version % 3 {
	case 0:
		s.NewCounter(prometheus.CounterOpts{Name: "types", Help: "Types."}).Inc()
		s.NewCounter(prometheus.CounterOpts{Name: "req_count", Help: "Suffix."}).Inc()
	case 1:
		s.NewGauge(prometheus.GaugeOpts{Name: "types", Help: "Types."}, store.Sum).Set(5)
		s.NewHistogram(prometheus.HistogramOpts{Name: "req", Help: "Suffix."}).Observe(1)
	case 2:
		s.NewSummary(prometheus.SummaryOpts{Name: "types", Help: "Types."}).Observe(7)
	}
	// Of one version there is nothing to show, only the definition.
	v := s.NewCounterVec(prometheus.CounterOpts{Name: "defined_total", Help: help}, []string{"a"})
	if version%3 != 2 {
		v.WithLabelValues("1").Inc()
	}
}

// same opens processes, lets some of them die, and compares what is shown
// before and after these are absorbed; then it lets the others die one by one.
func same(t *testing.T, processes []func(*store.Store), dies func(i int) bool) {
	t.Helper()
	dir := memoryDir(t)
	var dying, living []*store.Store
	for i, fill := range processes {
		s, err := store.Open(store.Opts{Location: dir, Process: fmt.Sprintf("p%d", i%2), NoAbsorption: true, Logger: silent})
		if err != nil {
			t.Fatal(err)
		}
		fill(s)
		if dies(i) {
			dying = append(dying, s)
		} else {
			living = append(living, s)
		}
	}
	observer := func() *collector.Collector {
		return collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	}
	witness := observer()
	defer witness.Close()
	for {
		for _, s := range dying {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		before := texts(t, witness)
		if report := absorbRest(t, dir); report.Absorbed != len(dying) {
			t.Fatalf("want %d processes absorbed: %v", len(dying), report)
		}
		fresh := observer()
		for who, c := range map[string]*collector.Collector{"the same collector": witness, "a new collector": fresh} {
			if after := texts(t, c); after != before {
				t.Errorf("for %s absorption changes something (-before +after):\n%s", who, cmp.Diff(strings.Split(before, "\n"), strings.Split(after, "\n")))
			}
		}
		fresh.Close()
		if len(living) == 0 {
			return
		}
		dying, living = living[:1], living[1:]
	}
}

// texts is what a collector shows of the users' families: as text, and as
// OpenMetrics with the start timestamps.
func texts(t *testing.T, c *collector.Collector) string {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text, open bytes.Buffer
	created := expfmt.NewEncoder(&open, expfmt.NewFormat(expfmt.TypeOpenMetrics), expfmt.WithCreatedLines())
	plain := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), layout.ReservedPrefix) {
			continue
		}
		if err := errors.Join(plain.Encode(f), created.Encode(f)); err != nil {
			t.Fatal(err)
		}
	}
	return text.String() + open.String()
}

// What is shown of the dead is equal, byte for byte, before and after they are
// absorbed: all instruments, all gauge modes.
func TestSameAfterAbsorption(t *testing.T) {
	all := func(n int) func(*store.Store) { return func(s *store.Store) { everything(s, n) } }
	both := func(n int) func(*store.Store) { return func(s *store.Store) { everything(s, n); conflicting(s, n) } }
	everybody := func(int) bool { return true }
	first := func(i int) bool { return i == 0 }
	last := func(i int) bool { return i == 2 }
	for _, test := range []struct {
		name      string
		processes []func(*store.Store)
		dies      func(int) bool
	}{
		{name: "one", processes: []func(*store.Store){all(1)}, dies: everybody},
		{name: "three", processes: []func(*store.Store){all(1), all(2), all(3)}, dies: everybody},
		{name: "three that differ", processes: []func(*store.Store){both(1), both(2), both(3)}, dies: everybody},
		{name: "the oldest of three", processes: []func(*store.Store){both(1), both(2), both(3)}, dies: first},
		{name: "the newest of three", processes: []func(*store.Store){both(3), both(1), both(2)}, dies: last},
		{name: "beside nothing of the same", processes: []func(*store.Store){all(1), func(*store.Store) {}}, dies: first},
		{name: "nothing", processes: []func(*store.Store){func(*store.Store) {}, all(1)}, dies: first},
	} {
		t.Run(test.name, func(t *testing.T) { same(t, test.processes, test.dies) })
	}
}

// The same with any processes.
func TestSameAfterAbsorptionOfAnything(t *testing.T) {
	worlds := 100
	if effort.Soak() {
		worlds = 10_000
	}
	first := rand.Uint64()
	for n := range worlds {
		seed := first + uint64(n)
		r := rand.New(rand.NewPCG(seed, 0))
		processes := make([]func(*store.Store), 1+r.IntN(5))
		for i := range processes {
			own := rand.New(rand.NewPCG(r.Uint64(), 0))
			processes[i] = func(s *store.Store) { anything(s, own) }
		}
		deaths := r.Uint32()
		same(t, processes, func(i int) bool { return deaths>>i&1 == 1 })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d worlds, the last seed %d", worlds, first+uint64(worlds)-1)
}

// anything makes a few instruments under few names, so that most have
// conflicts.
func anything(s *store.Store, r *rand.Rand) {
	value := func() float64 {
		if r.IntN(10) == 0 {
			return r.NormFloat64()
		}
		return odd[r.IntN(len(odd))]
	}
	for _, name := range []string{"a", "b", "c", "a_count"} {
		help := fmt.Sprint("help ", r.IntN(2))
		labels := [][]string{{"x"}, {"x"}, {"y"}, {"x", "process"}}[r.IntN(4)]
		values := func() []string { return []string{fmt.Sprint(r.IntN(2)), "1"}[:len(labels)] }
		made := r.IntN(4)
		switch r.IntN(5) {
		case 0:
			v := s.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
			for range made {
				v.WithLabelValues(values()...).Add(math.Abs(value()))
			}
		case 1:
			v := s.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: [][]float64{{1, 2}, {2, 3}}[r.IntN(2)]}, labels)
			for range made {
				v.WithLabelValues(values()...).Observe(value())
			}
		case 2:
			v := s.NewSummaryVec(prometheus.SummaryOpts{Name: name, Help: help}, labels)
			for range made {
				v.WithLabelValues(values()...).Observe(value())
			}
		case 3:
			labels = labels[:1] // "process" is the mode's own
			v := s.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels, modes[r.IntN(len(modes))])
			for range made {
				switch g := v.WithLabelValues(values()...); r.IntN(4) {
				case 0: // never set
				case 1:
					g.Set(math.NaN()) // not infinite: a sum of that leaves
				case 2:
					v.DeleteLabelValues(values()...)
				default:
					g.Set(value())
				}
			}
		}
	}
}
