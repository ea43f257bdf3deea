package trial

import (
	"bytes"
	"context"
	"errors"
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
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() {
	programs["fork"], programs["fork once"] = forkWithoutExec, forkOnce
}

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
			// the background work runs.
			time.Sleep(1500 * time.Millisecond)
			count("child, later")
		}
		fmt.Println("child:", errors.Is(s.Flush(context.Background()), store.ErrForked), errors.Is(s.Close(), store.ErrForked))
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
// atomic words: until the first observation of the child, an increment counts for the parent.
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
			if !said["child: true true"] || !said["parent: done 1"] {
				t.Fatalf("the processes said %v", said)
			}
			if n := len(processFiles(t, dir)); n != 1 {
				t.Errorf("%d files, want that of the parent", n)
			}
			got := scrapeFamilies(t, dir)
			for name, want := range map[string]float64{
				"counter": 2*forkRounds + 1, "histogram": 2 * forkRounds,
				"vec/before": forkRounds, "vec/child": 0, "vec/child, later": 0, "vec/parent": forkRounds,
				// The child has closed its store, and did not unlock the parent's file.
				fmt.Sprintf("gauge/%d", c.Cmd.Process.Pid): 2 * forkRounds,
			} {
				if got[name] != want {
					t.Errorf("%s is %v, want %v", name, got[name], want)
				}
			}
			c.Signal(syscall.SIGKILL)
		})
	}
}

// firstSteps are the first steps of a forked process that need more than words of the parent.
var firstSteps = map[string]func(*store.Store, *prometheus.CounterVec, prometheus.Histogram){
	"a new series": func(_ *store.Store, vec *prometheus.CounterVec, _ prometheus.Histogram) {
		vec.WithLabelValues("new").Inc()
	},
	"an observation": func(_ *store.Store, _ *prometheus.CounterVec, h prometheus.Histogram) { h.Observe(1) },
	"a new family": func(s *store.Store, _ *prometheus.CounterVec, _ prometheus.Histogram) {
		s.NewCounter(prometheus.CounterOpts{Name: "new", Help: "h"}).Inc()
	},
	"a timed gauge": func(s *store.Store, _ *prometheus.CounterVec, _ prometheus.Histogram) {
		s.NewGauge(prometheus.GaugeOpts{Name: "new", Help: "h"}, store.MostRecent).Set(1)
	},
	"a native histogram": func(s *store.Store, _ *prometheus.CounterVec, _ prometheus.Histogram) {
		s.NewHistogram(prometheus.HistogramOpts{Name: "new", Help: "h", NativeHistogramBucketFactor: 1.1}).Observe(1)
	},
	"a foreign collector": func(s *store.Store, _ *prometheus.CounterVec, _ prometheus.Histogram) {
		s.Registerer().MustRegister(prometheus.NewCounter(prometheus.CounterOpts{Name: "new", Help: "h"}))
	},
	"a flush": func(s *store.Store, _ *prometheus.CounterVec, _ prometheus.Histogram) {
		_ = s.Flush(context.Background())
	},
	"the end of the store": func(s *store.Store, _ *prometheus.CounterVec, _ prometheus.Histogram) { _ = s.Close() },
}

// forkOnce forks as a C library would, and counts in the child before and after a first step: args are
// the directory and the step, "" for none. The child ends with its standard input.
func forkOnce(args []string) error {
	runtime.GOMAXPROCS(1)
	s, err := store.Open(store.Opts{Location: args[0], NoAbsorption: true})
	if err != nil {
		return err
	}
	vec := s.NewCounterVec(prometheus.CounterOpts{Name: "vec", Help: "h"}, []string{"kind"})
	histogram := s.NewHistogram(prometheus.HistogramOpts{Name: "histogram", Help: "h"})
	old := vec.WithLabelValues("old")
	time.Sleep(300 * time.Millisecond) // no thread holds a lock of the store
	pid, _, errno := syscall.RawSyscall(syscall.SYS_FORK, 0, 0, 0)
	if errno != 0 {
		return errno
	}
	if pid != 0 {
		time.Sleep(time.Hour)
	}
	old.Add(forkRounds)
	if step := firstSteps[args[1]]; step != nil {
		step(s, vec, histogram)
		vec.WithLabelValues("another").Inc()
		histogram.Observe(1)
		old.Add(forkRounds)
	}
	fmt.Println("child:", os.Getpid())
	_, _ = unix.Read(0, make([]byte, 1))
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// A forked process counts for its parent until the first step that needs more than words of the
// parent. From then on the forked process writes nothing, has said so once, and the death of the
// parent is seen although the forked process lives.
func TestForkedChildLeavesTheFile(t *testing.T) {
	for step := range firstSteps {
		t.Run(step, func(t *testing.T) {
			dir := memoryDir(t)
			var log bytes.Buffer
			cmd := reexec.Command("fork once", dir, step)
			cmd.Stderr = &log
			c := reexec.Run(t, cmd)
			c.Until("child: ")
			if got := scrapeFamilies(t, dir); got["vec/old"] != forkRounds || got["vec/new"] != 0 || got["vec/another"] != 0 || got["histogram"] != 0 {
				t.Errorf("the output is %v, want %d old and nothing else", got, forkRounds)
			}
			name := processFiles(t, dir)[0]
			f, _, err := directory.OpenFile(filepath.Join(dir, layout.Subdirectory, name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			c.Signal(syscall.SIGKILL)
			promtest.Eventually(t, "the death of the parent is seen", func() bool {
				live, err := f.Live()
				return err == nil && !live
			})
			c.CloseInput()
			c.Kill()
			if n := strings.Count(log.String(), "forked without exec"); n != 1 {
				t.Errorf("the log has %d lines about the fork, want 1:\n%s", n, log.String())
			}
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
