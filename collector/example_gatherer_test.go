package collector_test

import (
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/collector"
)

// handler shows the default registry of this process, and the merged metrics of all
// processes. A family in both is shown merged.
func handler(g *collector.Gatherer) http.Handler {
	return promhttp.HandlerFor(g, promhttp.HandlerOpts{Registry: prometheus.DefaultRegisterer})
}

func ExampleNewGatherer() {
	g := collector.NewGatherer(prometheus.DefaultGatherer, collector.Opts{})
	defer g.Close()
	http.Handle("/metrics", handler(g))
	log.Print(http.ListenAndServe("localhost:8080", nil))
}
