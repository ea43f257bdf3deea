package catalogue

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
)

// Await waits until families of a registry have values: the work of a library ends before the
// library has counted the work.
func Await(g prometheus.Gatherer, want map[string]float64) error {
	var last map[string]family
	met := promtest.Within(promtest.Patience, func() bool {
		families, err := g.Gather()
		if err != nil {
			return false
		}
		last = familiesOf(families)
		for name, v := range want {
			if last[name].Value != number(v) {
				return false
			}
		}
		return true
	})
	if !met {
		return fmt.Errorf("waited %v in vain for %v, got %v", promtest.Patience, want, last)
	}
	return nil
}

// Plain returns the registry that says what this process itself counted, for the Registerer of a
// Library.
func Plain(r prometheus.Registerer) prometheus.Gatherer { return r.(tee).plain }
