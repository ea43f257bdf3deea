package loadtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	startTime = 20 * time.Second // for a worker to start listening, on a busy machine
	stopTime  = 15 * time.Second // for all workers to leave, longer than the example's own limit
)

// Service is a running prefork example.
type Service struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed once cmd has been waited for
	failed error         // error of Wait; read after ended

	mu      sync.Mutex    // guards the fields below: the reader of the program's output writes them
	url     string        // "" until the first worker listens
	workers []int         // pids of listening workers, oldest first
	changed chan struct{} // closed and replaced when workers changes
}

// Start runs the program with its metrics in dir and returns as soon as all workers listen on a
// free port of 127.0.0.1.
func Start(ctx context.Context, binary, dir string, workers int, stderr io.Writer) (*Service, error) {
	s := &Service{
		// The service outlives ctx: Stop asks the service to leave, so that no process is left
		// behind.
		cmd: command(context.WithoutCancel(ctx), binary, dir, stderr,
			"-addr", "127.0.0.1:0", "-workers", fmt.Sprint(workers)),
		ended:   make(chan struct{}),
		changed: make(chan struct{}),
	}
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start service: %w", err)
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start service: %w", err)
	}
	go func() {
		defer close(s.ended)
		s.follow(stdout)
		s.failed = s.cmd.Wait()
	}()
	if err := s.WaitWorkers(ctx, workers); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// follow keeps the list of workers by the output of the program.
func (s *Service) follow(stdout io.Reader) {
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var pid int
		var url string
		s.mu.Lock()
		if n, _ := fmt.Sscanf(lines.Text(), "worker %d listens on %s", &pid, &url); n == 2 {
			s.url = url
			s.workers = append(s.workers, pid)
		} else if n, _ := fmt.Sscanf(lines.Text(), "worker %d ended:", &pid); n == 1 {
			s.workers = slices.DeleteFunc(s.workers, func(w int) bool { return w == pid })
		}
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	}
}

// URL is where the service listens, without a path.
func (s *Service) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// Workers are the pids of the listening workers, oldest first.
func (s *Service) Workers() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.workers)
}

// WaitWorkers waits until n workers listen.
func (s *Service) WaitWorkers(ctx context.Context, n int) error {
	return s.waitUntil(ctx, fmt.Sprintf("%d workers listen", n), func(workers []int) bool { return len(workers) == n })
}

// Kill sends SIGKILL to a worker and waits until the supervisor has noticed the death.
func (s *Service) Kill(ctx context.Context, pid int) error {
	if !slices.Contains(s.Workers(), pid) {
		return fmt.Errorf("kill %d: not a worker of this service", pid)
	}
	worker, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("kill worker: %w", err)
	}
	if err := worker.Kill(); err != nil {
		return fmt.Errorf("kill worker %d: %w", pid, err)
	}
	return s.waitUntil(ctx, fmt.Sprintf("worker %d is gone", pid), func(workers []int) bool {
		return !slices.Contains(workers, pid)
	})
}

// waitUntil waits for a condition on the list of workers.
func (s *Service) waitUntil(ctx context.Context, what string, holds func(workers []int) bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		s.mu.Lock()
		held, changed := holds(s.workers), s.changed
		s.mu.Unlock()
		if held {
			return nil
		}
		select {
		case <-changed:
		case <-s.ended:
			return fmt.Errorf("wait until %s: the service ended: %v", what, s.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, ctx.Err())
		}
	}
}

// Stop asks the service to leave, like systemd or a terminal, and waits until no process is left.
func (s *Service) Stop() error {
	// An error means that the service has ended already: the wait below has the reason.
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
		if s.failed != nil {
			return fmt.Errorf("stop service: %w", s.failed)
		}
		return nil
	case <-time.After(stopTime):
		// The workers follow, because their standard input ends.
		_ = s.cmd.Process.Kill()
		<-s.ended
		return fmt.Errorf("stop service: it had not left after %v", stopTime)
	}
}
