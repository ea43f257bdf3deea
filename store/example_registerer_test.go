package store_test

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// Collectors that are not ours count for all processes too.
func ExampleStore_Registerer() {
	dir, err := os.MkdirTemp("", "mpmetrics-example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for range 2 { // two processes, each with a store of its own
		s, err := store.Open(store.Opts{Location: dir, Logger: silent})
		if err != nil {
			fmt.Println(err)
			return
		}
		promauto.With(s.Registerer()).NewCounter(prometheus.CounterOpts{
			Name: "library_calls_total", Help: "Calls of a library.",
		}).Add(21)
		if err := s.Close(); err != nil {
			fmt.Println(err)
		}
	}
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true})
	defer c.Close()
	fmt.Println(merged(registry(c))["library_calls_total"])
	// Output: 42
}
