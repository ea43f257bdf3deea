package store_test

import (
	"log"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// jobsFailed is of package level: the environment decides where the counters count, unless
// main sets a default store before the first update.
var jobsFailed = store.NewCounterVec(prometheus.CounterOpts{
	Name: "example_jobs_failed_total", Help: "Jobs that failed.",
}, []string{"queue"})

// A program with a configuration file of its own opens the store itself.
func ExampleSetDefault() {
	s, err := store.Open(store.Opts{Location: "/run/shop/metrics", Process: "worker-7"})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	if err := store.SetDefault(s); err != nil {
		log.Fatal(err)
	}
	jobsFailed.WithLabelValues("mail").Inc()
}
