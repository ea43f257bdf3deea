package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

// programs are whole programs: the same with both libraries.
var programs = map[string]func() error{
	"ten/client_golang":      func() error { return ten(promauto.With(prometheus.NewRegistry())) },
	"ten/mpmetrics":          func() error { return withStore(ten) },
	"resident/client_golang": func() error { return resident(promauto.With(prometheus.NewRegistry())) },
	"resident/mpmetrics":     func() error { return withStore(resident) },
}

// withStore does not close the store: the kernel does.
func withStore(program func(maker) error) error {
	s, err := store.Open(store.Opts{})
	if err != nil {
		return err
	}
	return program(fileMaker{s})
}

// ten is a short job.
func ten(m maker) error {
	counters(m, 10)
	return nil
}

// resident says how much of the process is in memory when it has counted and cleaned up.
func resident(m maker) error {
	counters(m, 1000)
	runtime.GC()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	_, line, found := strings.Cut(string(status), "VmRSS:")
	line, _, _ = strings.Cut(line, "kB")
	kib, err := strconv.Atoi(strings.TrimSpace(line))
	if !found || err != nil {
		return errors.Join(fmt.Errorf("no VmRSS in %q", status), err)
	}
	fmt.Println(kib << 10)
	runtime.KeepAlive(m)
	return nil
}

// runProgram runs a program and returns what it says.
func runProgram(b *testing.B, program, dir string) string {
	b.Helper()
	cmd := reexec.Command(program)
	cmd.Env = append(cmd.Env, store.EnvDir+"="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// BenchmarkProcess runs a short job from exec to exit. The files that it leaves are cleared away outside of the time.
func BenchmarkProcess(b *testing.B) {
	b.Run("series=10", func(b *testing.B) {
		dir := directory(b)
		run := func(program string) func(*testing.B) {
			return func(b *testing.B) {
				for i := range b.N {
					if i%20 == 0 {
						b.StopTimer()
						if err := os.RemoveAll(dir); err != nil {
							b.Fatal(err)
						}
						if err := os.Mkdir(dir, 0o700); err != nil {
							b.Fatal(err)
						}
						b.StartTimer()
					}
					runProgram(b, program, dir)
				}
			}
		}
		pair(b, run("ten/client_golang"), run("ten/mpmetrics"))
	})
}

// BenchmarkResident is no matter of time.
func BenchmarkResident(b *testing.B) {
	if runtime.GOOS != "linux" {
		b.Skip("only Linux says what is resident")
	}
	b.Run("series=1000", func(b *testing.B) {
		dir := directory(b)
		run := func(program string) func(*testing.B) {
			return func(b *testing.B) {
				var sum, n float64
				for b.Loop() {
					bytes, err := strconv.ParseFloat(runProgram(b, program, dir), 64)
					if err != nil {
						b.Fatal(err)
					}
					sum, n = sum+bytes, n+1
				}
				b.ReportMetric(sum/n, "resident-B")
				b.ReportMetric(0, "ns/op")
			}
		}
		pair(b, run("resident/client_golang"), run("resident/mpmetrics"))
	})
}
