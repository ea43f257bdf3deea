package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// results are the values of all rounds, in their order, by the name of the benchmark and the unit.
type results struct {
	cpu    string
	values map[string]map[string][]float64
}

func newResults() *results { return &results{values: map[string]map[string][]float64{}} }

// cores is the suffix of a name by the testing package: the number of cores, and a number for a
// repeated name.
var cores = regexp.MustCompile(`(#\d+)?-\d+$`)

// parse adds the output of one run of the benchmarks.
func (r *results) parse(in io.Reader) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		line := lines.Text()
		if cpu, ok := strings.CutPrefix(line, "cpu: "); ok {
			r.cpu = cpu
		}
		// BenchmarkName-2  1000  2.1 ns/op  0 B/op
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := cores.ReplaceAllString(fields[0], "")
		if row, ok := strings.CutPrefix(name, "BenchmarkSlowRedis/"); ok {
			// The testing package replaces the space in the name of the peer.
			row, _, _ = strings.Cut(row, "/lib=")
			name = "Benchmark" + row + "/lib=" + redisPeer
		}
		for i := 2; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return fmt.Errorf("%q: %w", line, err)
			}
			r.add(name, fields[i+1], v)
		}
	}
	return lines.Err()
}

func (r *results) add(name, unit string, v float64) {
	if r.values[name] == nil {
		r.values[name] = map[string][]float64{}
	}
	r.values[name][unit] = append(r.values[name][unit], v)
}

// of returns the values of a benchmark for one library.
func (r *results) of(name, lib, unit string) sample {
	return slices.Clone(r.values["Benchmark"+name+"/lib="+lib][unit])
}

// sample is one value for each round.
type sample []float64

// quantile interpolates between the two values nearest to it.
func (s sample) quantile(q float64) float64 {
	sorted := slices.Sorted(slices.Values(s))
	at := q * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

func (s sample) median() float64 { return s.quantile(0.5) }

// spread is half the width of the middle half of the rounds, relative to the median.
func (s sample) spread() float64 { return (s.quantile(0.75) - s.quantile(0.25)) / 2 / s.median() }

// pairs combines the values of each round.
func pairs(a, b sample, combine func(a, b float64) float64) sample {
	both := make(sample, min(len(a), len(b)))
	for i := range both {
		both[i] = combine(a[i], b[i])
	}
	return both
}
