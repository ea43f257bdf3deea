// Prefork is an HTTP service of several processes that counts as one.
//
// The program starts itself again as a number of workers, which all listen on the same port; the kernel gives
// each connection to one of them. A worker that dies is replaced. Whichever worker is asked for /metrics
// answers for all, the dead included:
//
//	MPMETRICS_DIR=/dev/shm/shop go run ./examples/prefork -addr 127.0.0.1:8080
//	curl -X POST http://127.0.0.1:8080/work
//	curl http://127.0.0.1:8080/metrics
//
// What is particular to mpmetrics is in metrics.go, and one line in worker.go. The rest is an ordinary service.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// workerEnv is set for the processes that serve and unset for the one that starts them.
const workerEnv = "PREFORK_WORKER"

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` on which all workers listen; port 0 takes a free one")
	workers := flag.Int("workers", 4, "`number` of worker processes")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	run := func() error { return supervise(ctx, *addr, *workers) }
	if os.Getenv(workerEnv) != "" {
		run = func() error { return serve(ctx, *addr) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "prefork:", err)
		os.Exit(1)
	}
}
