// Sidecar shows a worker without HTTP, and the process that serves its metrics.
//
// Both share a directory, in a pod an emptyDir in memory. The sidecar has no own metrics. The
// sidecar answers for all workers in the directory, even after they were killed:
//
//	export MPMETRICS_DIR=/dev/shm/mail
//	go run ./examples/worker-sidecar -worker &
//	go run ./examples/worker-sidecar -worker &
//	go run ./examples/worker-sidecar -listen 127.0.0.1:9898 &
//	curl http://127.0.0.1:9898/metrics
//
// Either process may start first, and either may be restarted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// The worker's metrics. The sidecar never uses the metrics, and so has no file.
var (
	mails = store.NewCounter(prometheus.CounterOpts{
		Name: "mail_sent_total",
		Help: "Mails sent, by all workers that ever ran.",
	})

	queue = store.NewGauge(prometheus.GaugeOpts{
		Name: "mail_queue_length",
		Help: "Mails that wait, in all workers that live.",
	})
)

func main() {
	worker := flag.Bool("worker", false, "send mails until the process is ended")
	listen := flag.String("listen", "127.0.0.1:9898", "`address` of /metrics; port 0 takes a free one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := func() error { return serve(ctx, *listen) }
	if *worker {
		run = func() error { return work(ctx) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "sidecar:", err)
		os.Exit(1)
	}
}

// work pretends to send mails, and says so.
func work(ctx context.Context) error {
	queue.Set(3)
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(5 * time.Millisecond):
		}
		mails.Inc()
		fmt.Println("sent", n)
	}
}

// serve serves the counts of the workers.
func serve(ctx context.Context, address string) error {
	c := collector.New(collector.Opts{Location: os.Getenv(store.EnvDir)})
	defer c.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Printf("http://%v/metrics\n", listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Shutdown(context.Background()) })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
