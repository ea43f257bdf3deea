//go:build linux

package catalogue

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	versioncollector "github.com/prometheus/client_golang/prometheus/collectors/version"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/version"

	"github.com/mpmetrics/mpmetrics/internal/testing/catalogue"
)

// settingsOfGo are families of the Go collector that are alike in all processes.
var settingsOfGo = []string{"go_gc_gomemlimit_bytes", "go_sched_gomaxprocs_threads", "go_gc_stack_starting_size_bytes", "process_max_fds", "process_virtual_memory_max_bytes"}

var clientGolang = []catalogue.Library{
	{
		Name: "go", Run: goDefault, Machine: settingsOfGo,
		Moving: []string{"go_gc_duration_seconds", "go_goroutines", "go_memstats_*", "go_threads"},
	},
	{
		Name: "go-all-metrics", Run: goAll, Toolchain: true, Machine: settingsOfGo,
		Moving: []string{
			"go_cgo_*", "go_cpu_*", "go_gc_[cdfhp]*", "go_gc_sc*", "go_goroutines", "go_memory_*", "go_memstats_*",
			"go_sched_[^g]*", "go_sched_goroutines_*", "go_sync_*", "go_threads",
		},
	},
	{
		Name: "process", Run: process, Machine: settingsOfGo,
		Moving: []string{"process_cpu_*", "process_network_*", "process_open_fds", "process_resident_*", "process_start_*", "process_virtual_memory_bytes"},
	},
	{Name: "build-info", Run: buildInfo},
	{Name: "version", Run: versionInfo},
	{Name: "dbstats", Run: dbStats, Moving: []string{"go_sql_wait_duration_*"}},
	{Name: "promhttp", Run: instrumentedHandler},
}

func goDefault(r prometheus.Registerer) (any, error) {
	runtime.GC()
	return nil, r.Register(collectors.NewGoCollector())
}

func goAll(r prometheus.Registerer) (any, error) {
	runtime.GC()
	return nil, r.Register(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsAll)))
}

func process(r prometheus.Registerer) (any, error) {
	return nil, r.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

func buildInfo(r prometheus.Registerer) (any, error) {
	return nil, r.Register(collectors.NewBuildInfoCollector())
}

func versionInfo(r prometheus.Registerer) (any, error) {
	version.Version, version.Revision = "1.2.3", "abcdef"
	return nil, r.Register(versioncollector.NewCollector("shop"))
}

// dbStats shows a pool of at most 10 connections with two in use.
func dbStats(r prometheus.Registerer) (any, error) {
	db := sql.OpenDB(database{})
	db.SetMaxOpenConns(10)
	var used []*sql.Conn
	for range 2 {
		c, err := db.Conn(context.Background())
		if err != nil {
			return nil, err
		}
		used = append(used, c)
	}
	return []any{db, used}, r.Register(collectors.NewDBStatsCollector(db, "shop"))
}

// database is a database without anything in it: the pool of connections is package sql's.
type database struct{}

var errEmpty = errors.New("the database is empty")

// Connect implements driver.Connector.
func (d database) Connect(context.Context) (driver.Conn, error) { return d, nil }

// Driver implements driver.Connector.
func (database) Driver() driver.Driver { return nil }

// Prepare implements driver.Conn.
func (database) Prepare(string) (driver.Stmt, error) { return nil, errEmpty }

// Begin implements driver.Conn.
func (database) Begin() (driver.Tx, error) { return nil, errEmpty }

// Close implements driver.Conn.
func (database) Close() error { return nil }

// instrumentedHandler answers ten requests with all instruments of package promhttp, for servers,
// for clients, and for the page of metrics.
func instrumentedHandler(r prometheus.Registerer) (any, error) {
	labels := []string{"code", "method"}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_requests_total", Help: "h"}, labels)
	inFlight := prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_requests_in_flight", Help: "h"})
	histogram := func(name string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: "h"}, labels)
	}
	duration, header := histogram("http_request_duration_seconds"), histogram("http_time_to_write_header_seconds")
	reqSize, respSize := histogram("http_request_size_bytes"), histogram("http_response_size_bytes")
	sent := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "http_client_requests_total", Help: "h"}, labels)
	sending := prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_client_in_flight", Help: "h"})
	for _, c := range []prometheus.Collector{requests, inFlight, duration, header, reqSize, respSize, sent, sending} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	page := promhttp.InstrumentMetricHandler(r, promhttp.HandlerFor(prometheus.NewRegistry(), promhttp.HandlerOpts{Registry: r}))
	page = promhttp.InstrumentHandlerTimeToWriteHeader(header, page)
	page = promhttp.InstrumentHandlerRequestSize(reqSize, promhttp.InstrumentHandlerResponseSize(respSize, page))
	page = promhttp.InstrumentHandlerDuration(duration, promhttp.InstrumentHandlerCounter(requests, page))
	server := httptest.NewServer(promhttp.InstrumentHandlerInFlight(inFlight, page))
	defer server.Close()
	client := &http.Client{Transport: promhttp.InstrumentRoundTripperCounter(sent, promhttp.InstrumentRoundTripperInFlight(sending, http.DefaultTransport))}
	return nil, getTenTimes(client, server.URL)
}

// getTenTimes asks ten times for a page.
func getTenTimes(client *http.Client, url string) error {
	for range 10 {
		answer, err := client.Get(url)
		if err != nil {
			return err
		}
		if err := answer.Body.Close(); err != nil {
			return err
		}
	}
	return nil
}
