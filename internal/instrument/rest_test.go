package instrument

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// An heir has what was counted until it took over, and the former instrument counts to no effect.
// Cells move to the heir: nothing is copied that a reader could see twice.
func TestHeirTakesOverTheCells(t *testing.T) {
	counters := CounterFamily(prometheus.CounterOpts{Name: "c_total", Help: "h"}, nil)
	histograms := HistogramFamily(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1, 2}}, nil)
	summaries := SummaryFamily(prometheus.SummaryOpts{Name: "s", Help: "h"}, nil)
	for _, c := range []struct {
		name   string
		make   func() Heir
		update func(Heir)
	}{
		{name: "counter", make: func() Heir { return counters.NewCounter() }, update: func(i Heir) {
			i.(*Counter).Inc()
			i.(*Counter).Add(0.5)
		}},
		{name: "histogram", make: func() Heir { return histograms.NewHistogram() }, update: func(i Heir) { i.(*Histogram).Observe(1.5) }},
		{name: "summary", make: func() Heir { return summaries.NewSummary() }, update: func(i Heir) { i.(*Summary).Observe(1.5) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := c.make()
			cells := make([]atomic.Uint64, from.Base().Family.Def.CellWords())
			from.Keep()
			c.update(from)
			from.Use(cells)
			const more = 1000
			var counted sync.WaitGroup
			for range 2 {
				counted.Go(func() {
					for range more {
						c.update(from)
					}
				})
			}
			counted.Wait()
			want := loaded(from)
			heir := c.make()
			heir.TakeOver(from)
			if diff := cmp.Diff(want, loaded(heir)); diff != "" {
				t.Errorf("the heir (-want +got):\n%s", diff)
			}
			if heir.Base().Created.Load() != from.Base().Created.Load() {
				t.Error("the start timestamp moved")
			}
			c.update(from)
			if diff := cmp.Diff(want, loaded(heir)); diff != "" {
				t.Errorf("after an update of the former instrument (-want +got):\n%s", diff)
			}
			before := cells[0].Load()
			c.update(heir)
			if cells[0].Load() == before {
				t.Error("the heir counts in other cells")
			}
		})
	}
}
