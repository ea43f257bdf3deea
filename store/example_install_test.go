package store_test

import (
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// serve answers /metrics with the metrics of all processes, among them the collectors that
// libraries have put into client_golang's default registry.
func serve() error {
	if err := store.InstallAsDefault(); err != nil {
		return err
	}
	defer store.Default().Close() // mirrors the last interval
	prometheus.MustRegister(collector.New(collector.Opts{}))
	http.Handle("/metrics", promhttp.Handler()) // a handler made earlier shows one process
	return http.ListenAndServe("localhost:8080", nil)
}

func ExampleInstallAsDefault() {
	log.Fatal(serve())
}
