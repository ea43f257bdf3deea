package trial

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() { programs["fork"] = forkWithoutExec }

// forkRounds is how often parent and child count, each.
const forkRounds = 1000

// forkWithoutExec forks as a C library would, and goes on in both processes: args
// are the directory and GOMAXPROCS. The child has a single thread, the thread that forked;
// the other threads are as if they were stopped for ever.
func forkWithoutExec(args []string) error {
	procs, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(procs)
	s, err := store.Open(store.Opts{Location: args[0], NoAbsorption: true, Logger: silent})
	if err != nil {
		return err
	}
	counter := s.NewCounter(prometheus.CounterOpts{Name: "counter", Help: "h"})
	histogram := s.NewHistogram(prometheus.HistogramOpts{Name: "histogram", Help: "h"})
	vec := s.NewCounterVec(prometheus.CounterOpts{Name: "vec", Help: "h"}, []string{"who"})
	gauge := s.NewGauge(prometheus.GaugeOpts{Name: "gauge", Help: "h"}, store.LiveAll)
	count := func(who string) {
		for range forkRounds {
			counter.Inc()
			histogram.Observe(1)
			vec.WithLabelValues(who).Inc()
			gauge.Inc()
		}
	}
	count("before")
	time.Sleep(300 * time.Millisecond) // a thread that holds a lock of the store would hold it in the child for ever
	pid, _, errno := syscall.RawSyscall(syscall.SYS_FORK, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid == 0 {
		// The child ends with its parent, which the test ends.
		if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
			os.Exit(1)
		}
		count("child")
		if procs == 1 {
			// With one processor no goroutine is on a thread that the child does not have:
			// the background work notices the fork at its next tick.
			for limit := time.Now().Add(10 * time.Second); s.Degraded() == nil; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(limit) {
					fmt.Println("child: the background work has not noticed the fork")
					_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				}
			}
			count("child, later")
			_ = s.Close()
		}
		fmt.Println("child: done")
		// Without the work that Go does at the end of a process.
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	count("parent")
	fmt.Println("parent: done", len(owned(args[0], os.Getpid())))
	time.Sleep(time.Hour)
	return nil
}

// owned are the files of a process.
func owned(dir string, pid int) []string {
	found, _ := filepath.Glob(filepath.Join(dir, "mpmetrics", fmt.Sprintf("%d-*.mpm", pid)))
	return found
}

// A process that was forked without exec writes no record and no histogram into the file of
// its parent, and unlocks nothing. Increments of counters and gauges that exist are single
// atomic words: until the child's background work notices the fork, they count for the
// parent.
func TestForkedChildRefusesToWrite(t *testing.T) {
	for _, procs := range []int{1, 2, 4} {
		t.Run(fmt.Sprint("procs=", procs), func(t *testing.T) {
			dir := memoryDir(t)
			c := start(t, "fork", dir, strconv.Itoa(procs))
			defer time.AfterFunc(time.Minute, func() { c.Signal(syscall.SIGKILL) }).Stop()
			said := map[string]bool{}
			for len(said) < 2 {
				line, err := c.Output().ReadString('\n')
				if err != nil {
					t.Fatalf("after %v: %v", said, err)
				}
				said[strings.TrimSpace(line)] = true
			}
			if !said["child: done"] || !said["parent: done 1"] {
				t.Fatalf("the processes said %v", said)
			}
			if n := len(processFiles(t, dir)); n != 1 {
				t.Errorf("%d files, want that of the parent", n)
			}
			got := scrapeFamilies(t, dir)
			for name, want := range map[string]float64{
				"counter": 3 * forkRounds, "histogram": 2 * forkRounds,
				"vec/before": forkRounds, "vec/child": 0, "vec/child, later": 0, "vec/parent": forkRounds,
				// The child has closed its store, and did not unlock the parent's file.
				fmt.Sprintf("gauge/%d", c.Cmd.Process.Pid): 3 * forkRounds,
			} {
				if got[name] != want {
					t.Errorf("%s is %v, want %v", name, got[name], want)
				}
			}
			c.Signal(syscall.SIGKILL)
		})
	}
}

// scrapeFamilies returns counters and counts by name and label values.
func scrapeFamilies(t *testing.T, dir string) map[string]float64 {
	t.Helper()
	o := newObserver(t, newLedger(), collector.Opts{Location: dir, NoAbsorption: true})
	families, err := o.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += "/" + l.GetValue()
			}
			out[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}
