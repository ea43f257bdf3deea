package store_test

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mpmetrics/mpmetrics/store"
)

// A counter of package level is made as with promauto. Where it counts is
// decided by the environment, at the first Inc: in the directory that
// MPMETRICS_DIR names, or in memory when nothing is set.
func ExampleNewCounterVec() {
	requests := store.NewCounterVec(prometheus.CounterOpts{
		Name: "example_requests_total", Help: "Requests served.",
	}, []string{"code"})

	requests.WithLabelValues("200").Inc()
	requests.WithLabelValues("200").Inc()
	requests.WithLabelValues("404").Inc()

	fmt.Println(testutil.ToFloat64(requests.WithLabelValues("200")))
	// Output: 2
}
