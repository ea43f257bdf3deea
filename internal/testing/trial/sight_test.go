//go:build unix

package trial

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// sight is what one scrape shows.
type sight struct {
	samples    map[string]float64 // the users', by name and label values
	up         bool               // it is complete
	readErrors float64
	absorbed   float64 // processes
}

// see scrapes once.
func see(t testing.TB, c *collector.Collector) sight {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	families, err := r.Gather()
	if err != nil {
		t.Error(err)
	}
	s := sight{samples: map[string]float64{}}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			v := m.GetGauge().GetValue() + m.GetCounter().GetValue() // one is nil
			switch name := f.GetName(); {
			case name == "mpmetrics_up":
				s.up = v == 1
			case name == "mpmetrics_read_errors_total":
				s.readErrors += v
			case name == "mpmetrics_absorbed_processes_total":
				s.absorbed = v
			case !strings.HasPrefix(name, layout.ReservedPrefix):
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				s.samples[name] = v
			}
		}
	}
	return s
}

// complete says so if the scrape was not.
func (s sight) complete(t testing.TB, when string) {
	t.Helper()
	if !s.up || s.readErrors != 0 {
		t.Errorf("%s: up is %v, %v read errors", when, s.up, s.readErrors)
	}
}

// scrapeOnce is what a collector shows that was never there before, and absorbs
// nothing.
func scrapeOnce(t testing.TB, dir string) sight {
	t.Helper()
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	return see(t, c)
}
