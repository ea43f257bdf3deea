//go:build unix

package compact_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/store"
)

// doJob is a process that does one job and ends.
func doJob(dir string) error {
	s, err := store.Open(store.Opts{Location: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	s.NewCounter(prometheus.CounterOpts{Name: "jobs_total", Help: "Jobs done."}).Inc()
	return s.Close()
}

// The last step of a shutdown: the counts of all processes go into the archive.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for range 3 {
		if err := doJob(dir); err != nil {
			log.Fatal(err)
		}
	}

	report, err := compact.Run(context.Background(), dir, compact.Opts{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report)
	// Output: 3 processes absorbed
}
