package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// benchtime is short: many short rounds tell more than few long ones on a machine that is not idle.
const benchtime = 100 * time.Millisecond

// measure runs all benchmarks, round after round, and keeps what they print in raw.
func measure(ctx context.Context, rounds int, raw string) (*results, error) {
	dir, err := os.MkdirTemp(sharedMemory(), "mpmetrics-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bin, err := os.MkdirTemp("", "mpmetrics-bench-") // not in dir: a container's /dev/shm lets nothing be executed
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(bin)
	binary := filepath.Join(bin, "bench.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the benchmarks: %w\n%s", err, out)
	}
	if err := os.MkdirAll(filepath.Dir(raw), 0o755); err != nil {
		return nil, err
	}
	keep, err := os.Create(raw)
	if err != nil {
		return nil, err
	}
	defer keep.Close()

	all := newResults()
	began := time.Now()
	for round := range rounds {
		out, err := benchmark(ctx, binary, dir, round%2 == 1)
		if err != nil {
			return nil, err
		}
		if _, err := keep.Write(out); err != nil {
			return nil, err
		}
		if err := all.parse(bytes.NewReader(out)); err != nil {
			return nil, err
		}
		fmt.Printf("round %d of %d, %v\n", round+1, rounds, time.Since(began).Round(time.Second))
	}
	return all, nil
}

func benchmark(ctx context.Context, binary, dir string, swap bool) ([]byte, error) {
	cmd := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.bench=.",
		"-test.benchtime="+benchtime.String(), fmt.Sprintf("-swap=%v", swap))
	cmd.Env = append(os.Environ(), dirEnv+"="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run the benchmarks: %w\n%s%s", err, out, stderr.Bytes())
	}
	return out, nil
}
