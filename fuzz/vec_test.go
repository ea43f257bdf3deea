//go:build unix

package fuzz

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// FuzzVec lets the fuzzer choose the label values of plain, curried and constrained vecs of every
// kind. Whatever the vecs take in, everything else of the process is shown.
func FuzzVec(f *testing.F) {
	for _, seed := range [][2]string{{"a", "b"}, {"", ""}, {"b\xff", "200"}, {"200", "caf\xc3"}, {"\xed\xa0\x80", "\x00"}} {
		f.Add(seed[0], seed[1], seed[1])
	}
	f.Fuzz(func(t *testing.T, first, second, constraint string) {
		dir := memoryDir(t)
		s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true, Logger: silent})
		if err != nil {
			t.Fatal(err)
		}
		s.NewCounter(prometheus.CounterOpts{Name: "orders_total", Help: "h"}).Add(1000)

		names := []string{"a", "b"}
		counters := s.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, names)
		try(func() { counters.WithLabelValues(first, second).Inc() })
		try(func() { counters.MustCurryWith(prometheus.Labels{"a": first}).WithLabelValues(second).Inc() })
		gauges := s.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, names)
		try(func() { gauges.MustCurryWith(prometheus.Labels{"b": second}).WithLabelValues(first).Set(1) })
		for name, factor := range map[string]float64{"classic": 0, "native": 1.1} {
			h := s.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: "h", NativeHistogramBucketFactor: factor}, names)
			try(func() { h.MustCurryWith(prometheus.Labels{"a": first, "b": second}).WithLabelValues().Observe(1) })
		}
		constrained := s.V2().NewSummaryVec(prometheus.SummaryVecOpts{
			SummaryOpts: prometheus.SummaryOpts{Name: "s", Help: "h"},
			VariableLabels: prometheus.ConstrainedLabels{
				{Name: "a", Constraint: func(v string) string { return v + constraint }}, {Name: "b"},
			},
		})
		try(func() { constrained.MustCurryWith(prometheus.Labels{"a": first}).WithLabelValues(second).Observe(1) })
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, family := range gather(t, dir) {
			if family.GetName() == "orders_total" {
				if n := family.Metric[0].GetCounter().GetValue(); n != 1000 {
					t.Fatalf("orders_total is %v, want 1000", n)
				}
				return
			}
		}
		t.Fatal("orders_total is not shown")
	})
}

// try calls f, which may panic as client_golang does.
func try(f func()) {
	defer func() { _ = recover() }()
	f()
}
