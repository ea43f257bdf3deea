//go:build unix

package compact_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/store"
)

// The last step of a shutdown: what everybody has counted goes into the archive.
func ExampleRun() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	for range 3 {
		s, err := store.Open(store.Opts{Location: dir, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			panic(err)
		}
		s.NewCounter(prometheus.CounterOpts{Name: "jobs_total", Help: "Jobs done."}).Inc()
		if err := s.Close(); err != nil {
			panic(err)
		}
	}

	report, err := compact.Run(context.Background(), dir, compact.Opts{})
	if err != nil {
		panic(err)
	}
	fmt.Println(report)
	// Output: 3 processes absorbed
}
