package store_test

import (
	"context"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/testing/memoryserver"
	"github.com/mpmetrics/mpmetrics/store"
)

// client_golang does not look at curried label values. A value that no exposition can hold costs
// its own series only, in a file and on a server.
func TestCurriedValueThatIsNotUTF8(t *testing.T) {
	labels := []string{"host", "code"}
	for _, kind := range []struct {
		name string
		make func(s *store.Store) func(curried prometheus.Labels)
	}{
		{"counter", func(s *store.Store) func(prometheus.Labels) {
			v := s.NewCounterVec(prometheus.CounterOpts{Name: "x_total", Help: "h"}, labels)
			return func(l prometheus.Labels) { v.MustCurryWith(l).WithLabelValues("200").Inc() }
		}},
		{"gauge", func(s *store.Store) func(prometheus.Labels) {
			v := s.NewGaugeVec(prometheus.GaugeOpts{Name: "x", Help: "h"}, labels)
			return func(l prometheus.Labels) { v.MustCurryWith(l).WithLabelValues("200").Inc() }
		}},
		{"most recent gauge", func(s *store.Store) func(prometheus.Labels) {
			v := s.NewGaugeVec(prometheus.GaugeOpts{Name: "x", Help: "h"}, labels, store.MostRecent)
			return func(l prometheus.Labels) { v.MustCurryWith(l).WithLabelValues("200").Set(1) }
		}},
		{"summary", func(s *store.Store) func(prometheus.Labels) {
			v := s.NewSummaryVec(prometheus.SummaryOpts{Name: "x", Help: "h"}, labels)
			return func(l prometheus.Labels) { v.MustCurryWith(l).WithLabelValues("200").Observe(1) }
		}},
		{"histogram", func(s *store.Store) func(prometheus.Labels) {
			v := s.NewHistogramVec(prometheus.HistogramOpts{Name: "x", Help: "h"}, labels)
			return func(l prometheus.Labels) { v.MustCurryWith(l).WithLabelValues("200").Observe(1) }
		}},
		{"native histogram", func(s *store.Store) func(prometheus.Labels) {
			v := s.NewHistogramVec(prometheus.HistogramOpts{Name: "x", Help: "h", NativeHistogramBucketFactor: 1.1}, labels)
			return func(l prometheus.Labels) { v.MustCurryWith(l).WithLabelValues("200").Observe(1) }
		}},
	} {
		for _, place := range []struct{ name, location string }{
			{"file", inMemory(t)},
			{"server", (&memoryserver.Client{Server: memoryserver.New()}).Location()},
		} {
			t.Run(kind.name+" in a "+place.name, func(t *testing.T) {
				s := open(t, store.Opts{Location: place.location, NoAbsorption: true, Logger: silent})
				s.NewCounter(prometheus.CounterOpts{Name: "orders_total", Help: "h"}).Add(1000)
				count := kind.make(s)
				for _, value := range []string{"sound", "b\xff", "caf\xc3", "\xed\xa0\x80"} {
					count(prometheus.Labels{"host": value})
				}
				if err := s.Flush(context.Background()); err != nil {
					t.Fatal(err)
				}
				got := mergedOf(t, place.location)
				shown := 0
				for name := range got {
					if strings.HasPrefix(name, "x") {
						shown++
					}
				}
				if got["orders_total"] != 1000 || shown != 1 {
					t.Errorf("shown: %v, want orders_total 1000 and one series of x", got)
				}
			})
		}
	}
}
