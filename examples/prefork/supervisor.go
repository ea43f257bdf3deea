package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// startEvery is the least time between two starts in one worker's place: a worker that dies at
// once must not be restarted in a tight loop.
const startEvery = time.Second

// supervise keeps n workers running on addr until ctx ends, and returns when all have left.
func supervise(ctx context.Context, addr string, n int) error {
	if n < 1 {
		return fmt.Errorf("%d workers: at least one is needed", n)
	}
	if os.Getenv("MPMETRICS_DIR") == "" && os.Getenv("MPMETRICS_URL") == "" {
		fmt.Fprintln(os.Stderr, "prefork: neither MPMETRICS_DIR nor MPMETRICS_URL is set: each worker counts for itself alone")
	}
	addr, err := resolve(ctx, addr)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	var all sync.WaitGroup
	for range n {
		all.Go(func() { keepRunning(ctx, program, addr) })
	}
	all.Wait()
	return nil
}

// keepRunning fills one worker's place until ctx ends.
func keepRunning(ctx context.Context, program, addr string) {
	for ctx.Err() == nil {
		again := time.Now().Add(startEvery)
		err := runWorker(ctx, program, addr)
		if ctx.Err() != nil {
			return
		}
		fmt.Println(err)
		select {
		case <-time.After(time.Until(again)):
		case <-ctx.Done():
		}
	}
}

// runWorker runs one worker to its end and returns how the worker ended, never nil. The worker
// inherits the environment, with the directory of all workers.
func runWorker(ctx context.Context, program, addr string) error {
	worker := exec.CommandContext(ctx, program, "-addr", addr)
	worker.Env = append(os.Environ(), workerEnv+"=1")
	worker.Stdout, worker.Stderr = os.Stdout, os.Stderr
	lifeline, err := worker.StdinPipe()
	if err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	worker.Cancel = lifeline.Close
	worker.WaitDelay = drainTime + time.Second // after the delay, the worker is killed
	if err := worker.Start(); err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	_ = worker.Wait() // the state says more, also about a worker that left on its own
	return fmt.Errorf("worker %d ended: %v", worker.Process.Pid, worker.ProcessState)
}

// resolve finds the real port for port 0, and fails early if no process could listen.
func resolve(ctx context.Context, addr string) (string, error) {
	ln, err := listen(ctx, addr)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
