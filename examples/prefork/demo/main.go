// Demo runs the prefork example under load, kills two of its workers under load, then lets 300
// jobs come and go, and prints an account of the work and of the counts. Demo fails if work and
// counts differ by more than the broken requests, or if dead jobs leave more than their counts.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/mpmetrics/mpmetrics/examples/prefork/internal/loadtest"
)

func main() {
	duration := flag.Duration("duration", 10*time.Second, "`time` for which to send requests")
	workers := flag.Int("workers", 4, "`number` of worker processes")
	clients := flag.Int("clients", 16, "`number` of clients that send requests")
	kills := flag.Int("kills", 2, "`number` of workers to kill")
	jobs := flag.Int("jobs", 300, "`number` of short-lived jobs to run after the load")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	trial := loadtest.Trial{
		Workers: *workers, Clients: *clients, Kills: *kills, Duration: *duration, Jobs: *jobs, Stderr: os.Stderr,
	}
	fine, err := run(ctx, trial, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
	}
	if err != nil || !fine {
		os.Exit(1)
	}
}

// run holds the trial in temporary directories, prints the account, and reports whether the trial
// kept all promises.
func run(ctx context.Context, trial loadtest.Trial, out io.Writer) (fine bool, err error) {
	// Not beside the metrics: a container's /dev/shm lets nothing be executed.
	bin, err := os.MkdirTemp("", "mpmetrics-demo-")
	if err != nil {
		return false, fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(bin)
	trial.Dir, err = os.MkdirTemp(memoryDir(), "mpmetrics-demo-")
	if err != nil {
		return false, fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(trial.Dir)

	trial.Binary, err = loadtest.Build(ctx, bin)
	if err != nil {
		return false, err
	}
	trial.Logf = func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	trial.Logf("%d clients for %v, metrics in %s", trial.Clients, trial.Duration, trial.Dir)
	result, err := trial.Run(ctx)
	if err != nil {
		return false, err
	}
	problems := trial.Problems(result)
	account(out, result, problems)
	return len(problems) == 0, nil
}

// memoryDir is the file system in memory for files of live processes, if the system has one.
func memoryDir() string {
	const shm = "/dev/shm"
	if info, err := os.Stat(shm); err == nil && info.IsDir() {
		return shm
	}
	return os.TempDir()
}
