package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// benchtime is short: on a busy machine many short rounds say more than a few long rounds.
const benchtime = 100 * time.Millisecond

// slowRounds is the number of rounds of benchmarks that take seconds.
const slowRounds = 7

// bench is the program of the benchmarks, and its output until now.
type bench struct {
	binary, dir string // both are removed in the end
	keep        *os.File
	benchtime   time.Duration
	results     *results
	end         []func() error
}

// build builds the benchmarks. The file raw keeps their output.
func build(ctx context.Context, raw string) (_ *bench, err error) {
	b := &bench{benchtime: benchtime, results: newResults()}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	b.dir, err = os.MkdirTemp(sharedMemory(), "mpmetrics-bench-")
	if err != nil {
		return nil, err
	}
	b.end = append(b.end, func() error { return os.RemoveAll(b.dir) })
	bin, err := os.MkdirTemp("", "mpmetrics-bench-") // not in dir: a container's /dev/shm lets nothing be executed
	if err != nil {
		return nil, err
	}
	b.end = append(b.end, func() error { return os.RemoveAll(bin) })
	b.binary = filepath.Join(bin, "bench.test")
	if out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", b.binary, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the benchmarks: %w\n%s", err, out)
	}
	if err := os.MkdirAll(filepath.Dir(raw), 0o755); err != nil {
		return nil, err
	}
	b.keep, err = os.Create(raw)
	if err != nil {
		return nil, err
	}
	b.end = append(b.end, b.keep.Close)
	return b, nil
}

func (b *bench) close() {
	for _, f := range b.end {
		_ = f()
	}
}

// measure runs all benchmarks, round after round. With short, measure skips the long benchmarks.
func (b *bench) measure(ctx context.Context, rounds int, short bool, load *loads) error {
	began := time.Now()
	for round := range rounds {
		if err := b.run(ctx, round%2 == 1, "-test.bench=.", "-test.skip=^BenchmarkSlow"); err != nil {
			return err
		}
		load.note()
		fmt.Printf("round %d of %d, %v\n", round+1, rounds, time.Since(began).Round(time.Second))
	}
	latencies := slowRounds
	if short {
		latencies = 2
	}
	for round := range latencies {
		if err := b.run(ctx, round%2 == 1, "-test.bench=^BenchmarkSlowLatency"); err != nil {
			return err
		}
	}
	if err := b.run(ctx, false, "-test.bench=^BenchmarkSlowRedis"); err != nil || short {
		return err
	}
	fmt.Printf("64 × 100,000 series, %v\n", time.Since(began).Round(time.Second))
	return b.run(ctx, false, "-test.bench=^BenchmarkSlowScrape")
}

// again runs one row of mpmetrics once more, and returns its time.
func (b *bench) again(ctx context.Context, row string) (nanoseconds float64, err error) {
	var pattern []string
	for part := range strings.SplitSeq("Benchmark"+row+"/lib=mpmetrics", "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	out, err := b.output(ctx, false, "-test.bench="+strings.Join(pattern, "/"))
	if err != nil {
		return 0, err
	}
	once := newResults()
	if err := once.parse(bytes.NewReader(out)); err != nil {
		return 0, err
	}
	took := once.of(row, "mpmetrics", perOperation)
	if len(took) != 1 {
		return 0, fmt.Errorf("%s was measured %d times", row, len(took))
	}
	return took[0], nil
}

func (b *bench) run(ctx context.Context, swap bool, which ...string) error {
	out, err := b.output(ctx, swap, which...)
	if err != nil {
		return err
	}
	if _, err := b.keep.Write(out); err != nil {
		return err
	}
	return b.results.parse(bytes.NewReader(out))
}

func (b *bench) output(ctx context.Context, swap bool, which ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, b.binary, append(which, "-test.run=^$",
		"-test.benchtime="+b.benchtime.String(), fmt.Sprintf("-swap=%v", swap))...)
	cmd.Env = append(os.Environ(), dirEnv+"="+b.dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run the benchmarks: %w\n%s%s", err, out, stderr.Bytes())
	}
	return out, nil
}
