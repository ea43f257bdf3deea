package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/collector"
)

// What finds no room any more stays as it was: without it the total would dip.
func TestMirrorThatIsFullDoesNotDip(t *testing.T) {
	dir := inMemory(t)
	s := quiet(t, dir)
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	g := registry(c)
	r := promauto.With(s.Registerer())
	var vecs []*prometheus.CounterVec
	for n := range 8 {
		vecs = append(vecs, r.NewCounterVec(prometheus.CounterOpts{Name: fmt.Sprintf("family%d_total", n), Help: "h"}, []string{"l"}))
	}
	last := map[string]float64{}
	for round := range 12 {
		for _, v := range vecs {
			for n := range 8 {
				v.WithLabelValues(fmt.Sprint(round, n, strings.Repeat("x", 8<<10))).Inc()
				v.WithLabelValues(fmt.Sprint(0, n, strings.Repeat("x", 8<<10))).Inc()
			}
		}
		s.Flush()
		is := map[string]float64{}
		for name, v := range merged(g) {
			family, _, _ := strings.Cut(name, "/")
			is[family] += v
		}
		for n := range vecs {
			name := fmt.Sprintf("family%d_total", n)
			if is[name] < last[name] {
				t.Fatalf("round %d: %s fell from %v to %v", round, name, last[name], is[name])
			}
		}
		last = is
	}
	if last["mpmetrics_unmirrored_total"] == 0 {
		t.Error("there was room for all: nothing was tried")
	}
}
