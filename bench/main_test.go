package main

import (
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
)

// swap puts mpmetrics before client_golang: what runs second may find a warmer or a fuller machine, and should not
// always be the same.
var swap = flag.Bool("swap", false, "run mpmetrics before client_golang")

// atMost is for the test that only wants to see everything run.
var atMost = flag.Int("processes", 1<<20, "start no more processes than this, whatever the benchmark is called")

func TestMain(m *testing.M) {
	children := reexec.Programs{goShape: shape(goShape), cellsShape: shape(cellsShape)}
	for name := range fill {
		children[name] = shape(name)
	}
	for name, program := range programs {
		children[name] = func([]string) error { return program() }
	}
	children.Main()
	os.Exit(m.Run())
}

// pair runs the same with both libraries, one right after the other: the noise of the machine meets both.
func pair(b *testing.B, golang, ours func(*testing.B)) {
	runs := []struct {
		lib string
		run func(*testing.B)
	}{{"client_golang", golang}, {"mpmetrics", ours}}
	if *swap {
		slices.Reverse(runs)
	}
	for _, r := range runs {
		b.Run("lib="+r.lib, func(b *testing.B) {
			b.ReportAllocs()
			r.run(b)
		})
	}
}

// alone runs what client_golang has no counterpart of.
func alone(b *testing.B, ours func(*testing.B)) {
	b.Run("lib=mpmetrics", func(b *testing.B) {
		b.ReportAllocs()
		ours(b)
	})
}
