package store_test

import (
	"fmt"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// A process that has ended stays in the histogram of all.
func ExampleStore_NewHistogram() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	for _, seconds := range []float64{0.25, 0.5, 4} {
		s, err := store.Open(store.Opts{Location: dir})
		if err != nil {
			fmt.Println(err)
			return
		}
		s.NewHistogram(prometheus.HistogramOpts{
			Name: "job_seconds", Help: "Duration of jobs.", Buckets: []float64{0.5, 1, 5},
		}).Observe(seconds)
		s.Close() // or die: what was observed is in the file
	}

	scrape(dir, "job_seconds")
	// Output:
	// job_seconds_count 3
	// job_seconds_sum 4.75
}
