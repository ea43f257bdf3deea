package main

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	r := newResults()
	for _, round := range []string{
		"cpu: Abacus\nBenchmarkUpdate/op=Inc/goroutines=1/lib=client_golang-2 \t 100\t 2.0 ns/op\t 0 B/op\n" +
			"BenchmarkUpdate/op=Inc/goroutines=1/lib=mpmetrics-2 \t 100\t 1.0 ns/op\n",
		"BenchmarkUpdate/op=Inc/goroutines=1/lib=mpmetrics \t 100\t 40 ns/op\n" +
			"BenchmarkUpdate/op=Inc/goroutines=1/lib=client_golang \t 100\t 80 ns/op\nPASS\n",
		"BenchmarkUpdate/op=Inc/goroutines=1/lib=client_golang-2 \t 100\t 4.0 ns/op\n" +
			"BenchmarkUpdate/op=Inc/goroutines=1/lib=mpmetrics-2 \t 100\t 6.0 ns/op\n",
	} {
		if err := r.parse(strings.NewReader(round)); err != nil {
			t.Fatal(err)
		}
	}
	got := rows[0].cells(r)
	// The slow round moves the spread, not the ratio.
	want := "Inc|4.00 ns ±488%|6.00 ns ±162%|0.50 (0.50–1.00)|≤ 1|yes"
	if text := strings.Join(got, "|"); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if r.cpu != "Abacus" {
		t.Errorf("cpu %q", r.cpu)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		s    sample
		want string
	}{
		{sample{0.9, 1, 1.1}, "yes"},
		{sample{0.9, 1.01, 1.1}, "no, by less than the noise"},
		{sample{1.1, 1.2, 1.3}, "**no**"},
	} {
		if got := verdict(c.s, 1); got != c.want {
			t.Errorf("%v: %q, want %q", c.s, got, c.want)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		v    float64
		want string
	}{{5.444, "5.44 ns"}, {99.96, "100.0 ns"}, {512.4, "512 ns"}, {1234, "1.23 µs"}, {12_345_678, "12.3 ms"}} {
		if got := (row{unit: perOperation}).format(c.v); got != c.want {
			t.Errorf("%v: %q, want %q", c.v, got, c.want)
		}
	}
}
