package store_test

import (
	"fmt"
	"log"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// observeJob is a process that does one job and ends.
func observeJob(dir string, seconds float64) error {
	s, err := store.Open(store.Opts{Location: dir})
	if err != nil {
		return err
	}
	s.NewHistogram(prometheus.HistogramOpts{
		Name: "job_seconds", Help: "Duration of jobs.", Buckets: []float64{0.5, 1, 5},
	}).Observe(seconds)
	return s.Close() // optional: the observation is in the file
}

// The observations of processes that have ended stay in the merged histogram.
func ExampleStore_NewHistogram() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, seconds := range []float64{0.25, 0.5, 4} {
		if err := observeJob(dir, seconds); err != nil {
			log.Fatal(err)
		}
	}

	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	text, err := testutil.CollectAndFormat(c, expfmt.TypeTextPlain, "job_seconds")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
	// Output:
	// # HELP job_seconds Duration of jobs.
	// # TYPE job_seconds histogram
	// job_seconds_bucket{le="0.5"} 2
	// job_seconds_bucket{le="1"} 2
	// job_seconds_bucket{le="5"} 3
	// job_seconds_bucket{le="+Inf"} 3
	// job_seconds_sum 4.75
	// job_seconds_count 3
}
