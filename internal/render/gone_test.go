package render

import (
	"fmt"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// Processes come and go, each with another value of a const label. A renderer keeps the descriptors
// of series that are shown, and no more than as many others.
func TestDescriptorsOfTheGone(t *testing.T) {
	for _, c := range []struct {
		name         string
		mode         layout.Mode
		stay, rounds int // processes that stay, processes that come and go
	}{
		{name: "one stays", mode: layout.LiveSum, stay: 1, rounds: 300},
		{name: "ten stay", mode: layout.LiveSum, stay: 10, rounds: 300},
		{name: "a sample for each process", mode: layout.LiveAll, stay: 3, rounds: 300},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, r := merge.New(), New(func(string) bool { return false })
			words := []uint64{layout.EncodeGauge(1)}
			made := 0
			join := func() *merge.Member {
				made++
				mb := m.Join(merge.Process{ID: layout.NewID(), Start: int64(made), Label: fmt.Sprint(made), Live: true})
				m.Extend(mb, []*layout.Family{{
					Type: layout.Gauge, Mode: c.mode, Name: "build_info", Help: "h",
					ConstLabels: []layout.Label{{Name: "worker", Value: fmt.Sprint(made)}},
				}}, []merge.Input{{}})
				return mb
			}
			var all []*merge.Member
			for range c.stay {
				all = append(all, join())
			}
			scrape := func(also *merge.Member) {
				t.Helper()
				m.Begin()
				shown := all
				if also != nil {
					shown = append(all[:len(all):len(all)], also)
				}
				for _, mb := range shown {
					m.Add(mb, words)
				}
				if n := len(r.Metrics(m, true, 0)); n != len(shown) {
					t.Fatalf("%d metrics, want %d", n, len(shown))
				}
			}
			for range c.rounds {
				mb := join()
				scrape(mb)
				m.Leave(mb)
			}
			scrape(nil)
			n := 0
			for _, d := range r.descs {
				n += len(d.byLabels)
			}
			if n > 2*c.stay {
				t.Errorf("%d descriptors of %d series", n, c.stay)
			}
		})
	}
}
