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
// With -job it is a batch job, which bills some orders and ends. The workers show what it counted for as long as
// they run, and however many jobs have come and gone:
//
//	MPMETRICS_DIR=/dev/shm/shop go run ./examples/prefork -job card=0.1 invoice=20
//
// What is particular to mpmetrics is in metrics.go, at the top of job.go, and one line in worker.go. The rest is
// an ordinary service.
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
	job := flag.Bool("job", false, "bill the orders in the arguments, each payment=euros, and end")
	crashes := flag.Bool("crash", false, "with -job: be killed by SIGKILL after the last order")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	var err error
	switch {
	case *job:
		if err = bill(flag.Args()); err == nil && *crashes {
			err = crash()
		}
	case os.Getenv(workerEnv) != "":
		err = serve(ctx, *addr)
	default:
		err = supervise(ctx, *addr, *workers)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "prefork:", err)
		os.Exit(1)
	}
}
