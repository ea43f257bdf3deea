package promauto_test

import (
	"io"
	"log/slog"
	"os"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	theirs "github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
	ours "github.com/mpmetrics/mpmetrics/promauto"
	"github.com/mpmetrics/mpmetrics/store"
)

// The metrics of a package, as a program has them that changed its import path.
var (
	orders  = ours.NewCounter(prometheus.CounterOpts{Name: "orders_total", Help: "h"})
	byKind  = ours.NewCounterVec(prometheus.CounterOpts{Name: "kinds_total", Help: "h"}, []string{"kind"})
	open    = ours.NewGauge(prometheus.GaugeOpts{Name: "open_orders", Help: "h"})
	openBy  = ours.NewGaugeVec(prometheus.GaugeOpts{Name: "open_kinds", Help: "h"}, []string{"kind"})
	size    = ours.NewSummary(prometheus.SummaryOpts{Name: "size_bytes", Help: "h"})
	sizeBy  = ours.NewSummaryVec(prometheus.SummaryOpts{Name: "kind_bytes", Help: "h"}, []string{"kind"})
	quantum = ours.NewSummary(prometheus.SummaryOpts{Name: "quantum_bytes", Help: "h", Objectives: map[float64]float64{0.5: 0.05}})
	took    = ours.NewHistogram(prometheus.HistogramOpts{Name: "took_seconds", Help: "h", Buckets: []float64{1}})
	tookBy  = ours.NewHistogramVec(prometheus.HistogramOpts{Name: "kind_seconds", Help: "h", Buckets: []float64{1}}, []string{"kind"})
	_       = ours.NewCounterFunc(prometheus.CounterOpts{Name: "computed_total", Help: "h"}, func() float64 { return 1 })
	_       = ours.NewGaugeFunc(prometheus.GaugeOpts{Name: "computed", Help: "h"}, func() float64 { return 2 })
	_       = ours.NewUntypedFunc(prometheus.UntypedOpts{Name: "untyped", Help: "h"}, func() float64 { return 3 })
	further = ours.With(prometheus.DefaultRegisterer).NewCounter(prometheus.CounterOpts{Name: "further_total", Help: "h"})
)

func count() {
	orders.Inc()
	byKind.WithLabelValues("a").Inc()
	open.Inc()
	openBy.WithLabelValues("a").Inc()
	size.Observe(3)
	sizeBy.WithLabelValues("a").Observe(3)
	quantum.Observe(3)
	took.Observe(0.5)
	tookBy.WithLabelValues("a").Observe(0.5)
	further.Inc()
}

func TestMain(m *testing.M) {
	reexec.Programs{
		// counts until it is killed.
		"count": func(args []string) error {
			// Not too late: no metric was used yet.
			if err := os.Setenv(store.EnvDir, args[0]); err != nil {
				return err
			}
			count()
			if _, err := os.Stdout.WriteString("counted\n"); err != nil {
				return err
			}
			_, err := io.Copy(io.Discard, os.Stdin)
			return err
		},
	}.Main()
	os.Unsetenv(store.EnvDir)
	os.Exit(m.Run())
}

// Three processes count once each, and two of them are killed at once.
func TestNothingIsLostBySIGKILL(t *testing.T) {
	dir := testdir.New(t)
	for i := range 3 {
		p := reexec.Start(t, "count", dir)
		p.Until("counted")
		if i > 0 {
			p.Kill()
		}
	}
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)})
	defer c.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	got := promtest.Flatten(promtest.Gather(t, registry))
	for name, want := range map[string]float64{
		"orders_total": 3, `kinds_total{kind="a"}`: 3, "further_total": 3,
		"open_orders": 1, `open_kinds{kind="a"}`: 1,
		"size_bytes_count": 3, "size_bytes_sum": 9, `kind_bytes_sum{kind="a"}`: 9,
		"took_seconds_count": 3, `took_seconds_bucket{le="1"}`: 3, `kind_seconds_count{kind="a"}`: 3,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	// Of mirrored metrics the last interval of the killed is lost.
	for _, name := range []string{"computed_total", "quantum_bytes_count"} {
		promtest.Eventually(t, name+" of the live process", func() bool {
			n := promtest.Flatten(promtest.Gather(t, registry))[name]
			return n >= 1 && n <= 3
		})
	}
}

// What client_golang's package has, this package has too, with the same types.
func TestFunctionsOfClientGolang(t *testing.T) {
	for name, pair := range map[string][2]any{
		"NewCounter":      {ours.NewCounter, theirs.NewCounter},
		"NewCounterVec":   {ours.NewCounterVec, theirs.NewCounterVec},
		"NewCounterFunc":  {ours.NewCounterFunc, theirs.NewCounterFunc},
		"NewGauge":        {ours.NewGauge, theirs.NewGauge},
		"NewGaugeVec":     {ours.NewGaugeVec, theirs.NewGaugeVec},
		"NewGaugeFunc":    {ours.NewGaugeFunc, theirs.NewGaugeFunc},
		"NewSummary":      {ours.NewSummary, theirs.NewSummary},
		"NewSummaryVec":   {ours.NewSummaryVec, theirs.NewSummaryVec},
		"NewHistogram":    {ours.NewHistogram, theirs.NewHistogram},
		"NewHistogramVec": {ours.NewHistogramVec, theirs.NewHistogramVec},
		"NewUntypedFunc":  {ours.NewUntypedFunc, theirs.NewUntypedFunc},
	} {
		if got, want := reflect.TypeOf(pair[0]), reflect.TypeOf(pair[1]); got != want {
			t.Errorf("%s is a %v, want %v", name, got, want)
		}
	}
	methods := func(f reflect.Type) map[string]string {
		all := map[string]string{}
		for m := range f.Methods() {
			signature := ""
			for i := range m.Type.NumIn() {
				if i > 0 { // without the receiver
					signature += m.Type.In(i).String() + " "
				}
			}
			all[m.Name] = signature + m.Type.Out(0).String()
		}
		return all
	}
	if diff := cmp.Diff(methods(reflect.TypeFor[theirs.Factory]()), methods(reflect.TypeFor[ours.Factory]())); diff != "" {
		t.Errorf("methods of Factory (-theirs +ours):\n%s", diff)
	}
}

// A Registerer decides where a metric counts.
func TestWith(t *testing.T) {
	opts := prometheus.CounterOpts{Name: "n_total", Help: "h"}
	quiet := store.Opts{Location: testdir.New(t), NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)}
	s, err := store.Open(quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	registry := prometheus.NewRegistry()
	for _, c := range []struct {
		name                string
		with                prometheus.Registerer
		inStore, inRegistry int // metrics that are shown then
	}{
		{"no registry", nil, 0, 0},
		{"the Registerer of a store", s.Registerer(), 1, 0},
		{"a registry", registry, 1, 1},
	} {
		ours.With(c.with).NewCounter(opts).Add(7)
		if n := testutil.CollectAndCount(s); n != c.inStore {
			t.Errorf("%s: the store shows %d metrics, want %d", c.name, n, c.inStore)
		}
		if n := testutil.CollectAndCount(registry); n != c.inRegistry {
			t.Errorf("%s: the registry shows %d metrics, want %d", c.name, n, c.inRegistry)
		}
	}
}
