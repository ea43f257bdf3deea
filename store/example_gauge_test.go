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

// setGauges sets what one process sets.
func setGauges(s *store.Store, connections, oldest, heap float64) {
	// Without a mode a gauge is LiveSum: the sum of all live processes.
	s.NewGauge(prometheus.GaugeOpts{Name: "connections", Help: "Open connections."}).Set(connections)
	// LiveMax: the largest value of the live processes.
	s.NewGauge(prometheus.GaugeOpts{Name: "oldest_job_seconds", Help: "Age of the oldest job."}, store.LiveMax).Set(oldest)
	// LiveAll: a sample for each live process.
	s.NewGauge(prometheus.GaugeOpts{Name: "heap_bytes", Help: "Memory in use."}, store.LiveAll).Set(heap)
}

// Two processes set gauges of three modes. A real process has one store.
func ExampleStore_NewGauge() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	a, err := store.Open(store.Opts{Location: dir, Process: "a"})
	if err != nil {
		log.Fatal(err)
	}
	defer a.Close()
	b, err := store.Open(store.Opts{Location: dir, Process: "b"})
	if err != nil {
		log.Fatal(err)
	}
	defer b.Close()
	setGauges(a, 10, 30, 1000)
	setGauges(b, 20, 29, 1001)

	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	text, err := testutil.CollectAndFormat(c, expfmt.TypeTextPlain, "connections", "heap_bytes", "oldest_job_seconds")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
	// Output:
	// # HELP connections Open connections.
	// # TYPE connections gauge
	// connections 30
	// # HELP heap_bytes Memory in use.
	// # TYPE heap_bytes gauge
	// heap_bytes{process="a"} 1000
	// heap_bytes{process="b"} 1001
	// # HELP oldest_job_seconds Age of the oldest job.
	// # TYPE oldest_job_seconds gauge
	// oldest_job_seconds 30
}
