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

// A worker stands for one process of a service. A real process has one store.
type worker struct {
	store *store.Store
	jobs  *prometheus.CounterVec
}

func startWorker(dir string) (*worker, error) {
	s, err := store.Open(store.Opts{Location: dir})
	if err != nil {
		return nil, err
	}
	jobs := s.NewCounterVec(prometheus.CounterOpts{Name: "jobs_total", Help: "Jobs done."}, []string{"queue"})
	return &worker{store: s, jobs: jobs}, nil
}

// Two workers count into one directory, and a collector shows the sum of both. A worker
// that has ended stays in the sum.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	first, err := startWorker(dir)
	if err != nil {
		log.Fatal(err)
	}
	second, err := startWorker(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer second.store.Close()
	first.jobs.WithLabelValues("mail").Add(2)
	second.jobs.WithLabelValues("mail").Inc()
	second.jobs.WithLabelValues("video").Inc()
	first.store.Close() // a worker that is killed here changes no line of the output

	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	text, err := testutil.CollectAndFormat(c, expfmt.TypeTextPlain, "jobs_total")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(text))
	// Output:
	// # HELP jobs_total Jobs done.
	// # TYPE jobs_total counter
	// jobs_total{queue="mail"} 3
	// jobs_total{queue="video"} 1
}
