package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/collector"
)

// drainTime is the time a stopped worker has for its current requests.
const drainTime = 5 * time.Second

// serve is the life of one worker: serve answers requests until ctx ends or the supervisor has
// died.
func serve(ctx context.Context, addr string) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	go func() {
		// The supervisor holds the other end and never writes: the end of file means that the
		// supervisor wants the worker to leave, or has died. So no worker outlives the supervisor.
		_, _ = io.Copy(io.Discard, os.Stdin)
		leave()
	}()

	ln, err := listen(ctx, addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: routes(), ReadHeaderTimeout: 5 * time.Second}
	drained := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		drained <- server.Shutdown(ctx)
	}()

	started.SetToCurrentTime()
	fmt.Printf("worker %d listens on http://%s\n", os.Getpid(), ln.Addr())
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return <-drained
}

func routes() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector.New(collector.Opts{}))

	mux := http.NewServeMux()
	mux.Handle("/work", instrument(http.HandlerFunc(handleWork)))
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.Handle("/worker-metrics", promhttp.HandlerFor(aloneRegistry, promhttp.HandlerOpts{}))
	return mux
}

// handleWork stands for the work of a service: handleWork waits a little, as for a database, and
// answers.
func handleWork(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(time.Duration(1+rand.IntN(4)) * time.Millisecond):
		fmt.Fprintln(w, "done")
	case <-r.Context().Done():
	}
}
