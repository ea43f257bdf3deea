package store_test

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mpmetrics/mpmetrics/store"
)

// A counter of package level is made as with promauto. At the first Inc the environment
// decides where the counter counts: in the directory that MPMETRICS_DIR names, or in memory
// when nothing is set.
var requestsServed = store.NewCounterVec(prometheus.CounterOpts{
	Name: "example_requests_total", Help: "Requests served.",
}, []string{"code"})

func ExampleNewCounterVec() {
	requestsServed.WithLabelValues("200").Inc()
	requestsServed.WithLabelValues("200").Inc()
	requestsServed.WithLabelValues("404").Inc()

	fmt.Println(testutil.ToFloat64(requestsServed.WithLabelValues("200")))
	// Output: 2
}
