package main

import (
	"net/http"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/store"
)

// The metrics of the service. The types are client_golang's own types, from store's constructors
// instead of promauto's, and need no registration. mpmetrics does not touch the directory before
// the first use of a metric.
var (
	requests = store.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total",
		Help: "Requests handled, by all workers that ever ran.",
	}, []string{"code", "method"})

	duration = store.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds",
		Help: "Time from a request's arrival to its answer.",
	}, []string{"code", "method"})

	// A gauge without a mode is the sum over living processes: the requests of a killed worker
	// disappear.
	inFlight = store.NewGauge(prometheus.GaugeOpts{
		Name: "http_requests_in_flight",
		Help: "Requests being handled now.",
	})

	// LiveAll keeps the processes apart: one series for each living worker, with its pid as the
	// label process.
	started = store.NewGauge(prometheus.GaugeOpts{
		Name: "worker_start_time_seconds",
		Help: "When the worker began to serve, in seconds since the epoch.",
	}, store.LiveAll)
)

// alone is the count of a worker without mpmetrics: a plain counter in a separate registry, shown
// on /worker-metrics. The demo compares alone with the merged total; a real service has no use for
// alone.
var (
	aloneRegistry = prometheus.NewRegistry()

	alone = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name:        "worker_requests_total",
		Help:        "Requests handled by this worker alone.",
		ConstLabels: prometheus.Labels{"pid": strconv.Itoa(os.Getpid())},
	}, []string{"code", "method"})
)

func init() {
	aloneRegistry.MustRegister(alone)
	alone.WithLabelValues("200", "post") // shown from the start, as 0
}

// instrument counts and times the requests of next, with client_golang's own middleware.
func instrument(next http.Handler) http.Handler {
	next = promhttp.InstrumentHandlerCounter(alone, next)
	next = promhttp.InstrumentHandlerCounter(requests, next)
	next = promhttp.InstrumentHandlerDuration(duration, next)
	return promhttp.InstrumentHandlerInFlight(inFlight, next)
}
