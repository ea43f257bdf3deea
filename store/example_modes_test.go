package store_test

import (
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// allModes are the modes of a gauge; Omit is for foreign families alone.
var allModes = []store.MergeMode{
	store.All, store.LiveAll, store.Sum, store.LiveSum, store.Min, store.LiveMin,
	store.Max, store.LiveMax, store.MostRecent, store.LiveMostRecent, store.LiveMean,
}

// setInEachMode sets a gauge of each mode, named after the mode.
func setInEachMode(s *store.Store, value float64) {
	for _, mode := range allModes {
		s.NewGauge(prometheus.GaugeOpts{Name: mode.String(), Help: "A gauge of this mode."}, mode).Set(value)
	}
}

// merge returns the merged samples by mode.
func merge(c prometheus.Collector) (map[string]string, error) {
	r := prometheus.NewRegistry()
	if err := r.Register(c); err != nil {
		return nil, err
	}
	families, err := r.Gather()
	if err != nil {
		return nil, err
	}
	merged := map[string]string{}
	for _, f := range families {
		var values []string
		for _, m := range f.Metric {
			value := fmt.Sprint(m.GetGauge().GetValue())
			for _, l := range m.Label {
				value = l.GetValue() + ":" + value
			}
			values = append(values, value)
		}
		merged[f.GetName()] = strings.Join(values, " ")
	}
	return merged, nil
}

// Process a sets each gauge to 1, then process b sets each gauge to 5; then b ends.
func ExampleMergeMode() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	a, err := store.Open(store.Opts{Location: dir, Process: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	b, err := store.Open(store.Opts{Location: dir, Process: "b"})
	if err != nil {
		log.Fatal(err)
	}
	setInEachMode(a, 1)
	setInEachMode(b, 5)

	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	both, err := merge(c)
	if err != nil {
		log.Fatal(err)
	}
	b.Close()
	left, err := merge(c)
	if err != nil {
		log.Fatal(err)
	}
	for _, mode := range allModes {
		fmt.Printf("%-14v  both live: %-7s  b has ended: %s\n", mode, both[mode.String()], left[mode.String()])
	}
	// Output:
	// all             both live: a:1 b:5  b has ended: a:1 b:5
	// liveall         both live: a:1 b:5  b has ended: a:1
	// sum             both live: 6        b has ended: 6
	// livesum         both live: 6        b has ended: 1
	// min             both live: 1        b has ended: 1
	// livemin         both live: 1        b has ended: 1
	// max             both live: 5        b has ended: 5
	// livemax         both live: 5        b has ended: 1
	// mostrecent      both live: 5        b has ended: 5
	// livemostrecent  both live: 5        b has ended: 1
	// livemean        both live: 3        b has ended: 1
}
