// Batch is a command-line job whose runs count as one.
//
// A job of a second has ended before Prometheus asks for its metrics, and the next run starts at
// zero. In this example each run counts into a shared directory, and the counts stay there:
//
//	export MPMETRICS_DIR=/dev/shm/backup
//	go run ./examples/batch report.pdf notes.txt
//	go run ./examples/batch movie.mkv
//	go run ./examples/batch -metrics
//
// With -metrics the job prints the counts of all runs until now, for instance into a file for the
// textfile collector of node_exporter. A permanent service can serve the counts instead: see
// examples/worker-sidecar.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

var (
	files = store.NewCounterVec(prometheus.CounterOpts{
		Name: "backup_files_total",
		Help: "Files that were backed up, by all runs.",
	}, []string{"extension"})

	runs = store.NewCounterVec(prometheus.CounterOpts{
		Name: "backup_runs_total",
		Help: "Runs that ended, by how.",
	}, []string{"result"})

	// The name decides: of several processes a time in seconds is the latest.
	lastSuccess = store.NewGauge(prometheus.GaugeOpts{
		Name: "backup_last_success_timestamp_seconds",
		Help: "When a run last ended well, in seconds since the epoch.",
	})
)

func main() {
	metrics := flag.Bool("metrics", false, "print the counts of all runs, and back nothing up")
	flag.Parse()
	run := backUp
	if *metrics {
		run = func([]string) error { return printMetrics(os.Stdout) }
	}
	if err := run(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "batch:", err)
		os.Exit(1) // at once: the counts are in the directory already
	}
}

// backUp pretends to back files up.
func backUp(names []string) error {
	if len(names) == 0 {
		runs.WithLabelValues("failure").Inc()
		return errors.New("no file to back up")
	}
	for _, name := range names {
		files.WithLabelValues(filepath.Ext(name)).Inc()
	}
	runs.WithLabelValues("success").Inc()
	lastSuccess.SetToCurrentTime()
	return nil
}

// printMetrics prints the merged metrics in the text format. The process has no own metrics.
func printMetrics(w io.Writer) error {
	c := collector.New(collector.Opts{Location: os.Getenv(store.EnvDir)})
	defer c.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	encoder := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := encoder.Encode(f); err != nil {
			return err
		}
	}
	return nil
}
