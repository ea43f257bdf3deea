package store_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// What panics in client_golang panics in ours.
func TestRulesPanics(t *testing.T) {
	bad := "\xff"
	for _, c := range []struct {
		name string
		do   func(f factory)
	}{
		{"negative add", func(f factory) { f.counter(counterOpts).Add(-1) }},
		{"negative add, small", func(f factory) { f.counter(counterOpts).Add(-math.SmallestNonzeroFloat64) }},
		{"negative add, infinite", func(f factory) { f.counter(counterOpts).Add(math.Inf(-1)) }},
		{"too few label values", func(f factory) { f.counterVec(counterOpts, []string{"a", "b"}).WithLabelValues("x") }},
		{"too many label values", func(f factory) { f.gaugeVec(gaugeOpts, []string{"a"}).WithLabelValues("x", "y") }},
		{"no label values", func(f factory) { f.histogramVec(histogramOpts, []string{"a"}).WithLabelValues() }},
		{"wrong label name", func(f factory) {
			f.summaryVec(summaryOpts, []string{"a"}).With(prometheus.Labels{"b": "x"})
		}},
		{"label value is no UTF-8", func(f factory) { f.counterVec(counterOpts, []string{"a"}).WithLabelValues(bad) }},
		{"label value is no UTF-8, by name", func(f factory) {
			f.gaugeVec(gaugeOpts, []string{"a"}).With(prometheus.Labels{"a": bad})
		}},
		{"curried twice", func(f factory) {
			l := prometheus.Labels{"a": "x"}
			f.counterVec(counterOpts, []string{"a", "b"}).MustCurryWith(l).MustCurryWith(l)
		}},
		{"curried with an unknown label", func(f factory) {
			f.histogramVec(histogramOpts, []string{"a"}).MustCurryWith(prometheus.Labels{"z": "x"})
		}},
		{"no name", func(f factory) { f.counter(prometheus.CounterOpts{Help: "h"}) }},
		{"name is no UTF-8", func(f factory) { f.gauge(prometheus.GaugeOpts{Name: bad, Help: "h"}) }},
		{"reserved label name", func(f factory) { f.counterVec(counterOpts, []string{"__a"}).WithLabelValues("x") }},
		{"empty label name", func(f factory) { f.counterVec(counterOpts, []string{""}).WithLabelValues("x") }},
		{"label twice", func(f factory) { f.counterVec(counterOpts, []string{"a", "a"}).WithLabelValues("x", "y") }},
		{"label variable and constant", func(f factory) {
			o := counterOpts
			o.ConstLabels = prometheus.Labels{"a": "x"}
			f.counterVec(o, []string{"a"}).WithLabelValues("x")
		}},
		{"constant label is no UTF-8", func(f factory) {
			o := counterOpts
			o.ConstLabels = prometheus.Labels{"a": bad}
			f.counter(o)
		}},
		{"label le", func(f factory) { f.histogramVec(histogramOpts, []string{"le"}).WithLabelValues("x") }},
		{"constant label le", func(f factory) {
			o := histogramOpts
			o.ConstLabels = prometheus.Labels{"le": "x"}
			f.histogram(o)
		}},
		{"label quantile", func(f factory) { f.summaryVec(summaryOpts, []string{"quantile"}).WithLabelValues("x") }},
		{"buckets descend", func(f factory) {
			f.histogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{2, 1}})
		}},
		{"bucket twice", func(f factory) {
			f.histogramVec(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 1}}, nil).WithLabelValues()
		}},
		{"the same definition twice", func(f factory) { f.counter(counterOpts); f.counter(counterOpts) }},
		{"a vec of a name that is taken", func(f factory) { f.counter(counterOpts); f.counterVec(counterOpts, []string{"a"}) }},
		{"another help", func(f factory) {
			f.counterVec(counterOpts, []string{"a"})
			f.counterVec(prometheus.CounterOpts{Name: "c_total", Help: "other", ConstLabels: prometheus.Labels{"z": "z"}}, []string{"a"})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inEveryWorld(t, func(t *testing.T, f factory) {
				got := panicOf(func() { c.do(f) })
				if got == nil {
					t.Fatal("no panic")
				}
				if text := fmt.Sprint(got); strings.Contains(text, "damaged") {
					t.Errorf("panic %q speaks of a damaged file", text)
				}
			})
		})
	}
}

// What is an error in client_golang is one in ours, and does not harm the vec.
func TestRulesErrors(t *testing.T) {
	inEveryWorld(t, func(t *testing.T, f factory) {
		vec := f.counterVec(counterOpts, []string{"a"})
		for what, get := range map[string]func() error{
			"count": func() error { _, err := vec.GetMetricWithLabelValues("x", "y"); return err },
			"name":  func() error { _, err := vec.GetMetricWith(prometheus.Labels{"z": "x"}); return err },
			"utf-8": func() error { _, err := vec.GetMetricWithLabelValues("\xff"); return err },
			"curry": func() error { _, err := vec.CurryWith(prometheus.Labels{"z": "x"}); return err },
		} {
			if get() == nil {
				t.Errorf("%s: no error", what)
			}
		}
		vec.WithLabelValues("x").Inc()
		if got, want := testutil.CollectAndCount(vec), 1; got != want {
			t.Errorf("series: got %d, want %d", got, want)
		}
	})
}
