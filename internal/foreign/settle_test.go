package foreign

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A collector without descriptors may be registered before it is complete. The background leaves
// such a collector alone for a while; a scrape does not.
func TestNewCollectorSettles(t *testing.T) {
	for _, c := range []struct {
		name       string
		descriptor bool
		flush      func(m *Mirror) error
		looks      int
	}{
		{"in the background", false, func(m *Mirror) error { return m.FlushUnasked(context.Background()) }, 0},
		{"for a scrape", false, func(m *Mirror) error { return m.Flush(context.Background()) }, 1},
		{"in the background, with descriptors", true, func(m *Mirror) error { return m.FlushUnasked(context.Background()) }, 1},
		{"in the background, later", false, func(m *Mirror) error {
			m.guards[0].complete = time.Now().Add(-time.Second)
			return m.FlushUnasked(context.Background())
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			looks := 0
			var shown prometheus.Collector = collect(func(chan<- prometheus.Metric) { looks++ })
			if c.descriptor {
				shown = prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "c_total", Help: "h"}, func() float64 {
					looks++
					return 1
				})
			}
			w.m.Add(shown)
			// The machine may be busy; the background comes before the end of the settling.
			if !w.m.guards[0].complete.IsZero() { // a busy machine takes longer than the settling
				w.m.guards[0].complete = time.Now().Add(time.Hour)
			}
			if err := c.flush(w.m); err != nil {
				t.Fatal(err)
			}
			if looks != c.looks {
				t.Errorf("%d looks, want %d", looks, c.looks)
			}
		})
	}
}
