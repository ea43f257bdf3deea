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

// slowRounds is how often benchmarks run that take seconds.
const slowRounds = 7

// measure runs all benchmarks, round after round, and keeps what they print in raw. Short leaves out what takes long.
func measure(ctx context.Context, rounds int, short bool, load *loads, raw string) (*results, error) {
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
	run := func(swap bool, which ...string) error {
		out, err := benchmark(ctx, binary, dir, swap, which...)
		if err != nil {
			return err
		}
		if _, err := keep.Write(out); err != nil {
			return err
		}
		return all.parse(bytes.NewReader(out))
	}
	for round := range rounds {
		if err := run(round%2 == 1, "-test.bench=.", "-test.skip=^BenchmarkSlow"); err != nil {
			return nil, err
		}
		load.note()
		fmt.Printf("round %d of %d, %v\n", round+1, rounds, time.Since(began).Round(time.Second))
	}
	latencies := slowRounds
	if short {
		latencies = 2
	}
	for round := range latencies {
		if err := run(round%2 == 1, "-test.bench=^BenchmarkSlowLatency"); err != nil {
			return nil, err
		}
	}
	if short {
		return all, nil
	}
	fmt.Printf("64 × 100,000 series, %v\n", time.Since(began).Round(time.Second))
	return all, run(false, "-test.bench=^BenchmarkSlowScrape")
}

func benchmark(ctx context.Context, binary, dir string, swap bool, which ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, binary, append(which, "-test.run=^$",
		"-test.benchtime="+benchtime.String(), fmt.Sprintf("-swap=%v", swap))...)
	cmd.Env = append(os.Environ(), dirEnv+"="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run the benchmarks: %w\n%s%s", err, out, stderr.Bytes())
	}
	return out, nil
}
