// Prefork is an HTTP service of several processes that counts as one.
//
// The program starts itself again as a number of workers. All workers listen on the same port; the
// kernel gives each connection to one worker. The supervisor replaces a worker that dies. Any
// worker answers /metrics for all workers, the dead included:
//
//	MPMETRICS_DIR=/dev/shm/shop go run ./examples/prefork -addr 127.0.0.1:8080
//	curl -X POST http://127.0.0.1:8080/work
//	curl http://127.0.0.1:8080/metrics
//
// With -job the program is a batch job that bills some orders and ends. The workers show the job's
// counts for as long as the workers run, however many jobs have come and gone:
//
//	MPMETRICS_DIR=/dev/shm/shop go run ./examples/prefork -job card=0.1 invoice=20
//
// On several hosts without a common directory, MPMETRICS_URL names a server instead, and any
// worker of any host answers for all:
//
//	MPMETRICS_URL='redis://10.0.0.5:6379/0?namespace=shop' go run ./examples/prefork
//
// The code for mpmetrics is in metrics.go, at the top of job.go, one line in worker.go, and Close
// in main. The rest is an ordinary service.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/mpmetrics/mpmetrics/store"
	_ "github.com/mpmetrics/mpmetrics/store/redis" // for MPMETRICS_URL
)

// workerEnv is set for workers and unset for the supervisor.
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
		err = errors.Join(err, store.Default().Close())
	case os.Getenv(workerEnv) != "":
		err = errors.Join(serve(ctx, *addr), store.Default().Close())
	default:
		err = supervise(ctx, *addr, *workers)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "prefork:", err)
		os.Exit(1)
	}
}
