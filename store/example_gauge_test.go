package store_test

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// Two processes set gauges of three modes. A program has one store, and a
// process of its own for each; here they are two stores of one program.
func ExampleStore_NewGauge() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	for i, worker := range []string{"a", "b"} {
		s, err := store.Open(store.Opts{Location: dir, Process: worker})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer s.Close()
		// Without a mode it is LiveSum: what all living processes have together.
		s.NewGauge(prometheus.GaugeOpts{Name: "connections", Help: "Open connections."}).Set(float64(10 * (i + 1)))
		// LiveMax: the worst of the living ones.
		s.NewGauge(prometheus.GaugeOpts{Name: "oldest_job_seconds", Help: "Age of the oldest job."}, store.LiveMax).Set(float64(30 - i))
		// LiveAll: a sample for each living process.
		s.NewGauge(prometheus.GaugeOpts{Name: "heap_bytes", Help: "Memory in use."}, store.LiveAll).Set(float64(1000 + i))
	}

	scrape(dir, "connections", "heap_bytes", "oldest_job_seconds")
	// Output:
	// connections 30
	// heap_bytes{process="a"} 1000
	// heap_bytes{process="b"} 1001
	// oldest_job_seconds 30
}

// scrape prints some families as /metrics would show them.
func scrape(dir string, families ...string) {
	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	all, err := r.Gather()
	if err != nil {
		fmt.Println(err)
	}
	for _, f := range all {
		for _, wanted := range families {
			if f.GetName() != wanted {
				continue
			}
			for _, m := range f.Metric {
				name := f.GetName()
				for _, l := range m.Label {
					name += fmt.Sprintf("{%s=%q}", l.GetName(), l.GetValue())
				}
				if h := m.Histogram; h != nil {
					fmt.Println(name+"_count", h.GetSampleCount())
					fmt.Println(name+"_sum", h.GetSampleSum())
					continue
				}
				fmt.Println(name, valueOf(m))
			}
		}
	}
}
