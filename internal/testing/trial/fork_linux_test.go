package trial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/inspect"
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
// the directory and the step, "" for none. The child kills its parent at a line "k", and ends with its
// standard input.
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
	for in := make([]byte, 1); ; {
		if n, err := unix.Read(0, in); err == nil && n == 0 {
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		if in[0] == 'k' {
			_ = syscall.Kill(os.Getppid(), syscall.SIGKILL)
		}
	}
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
			c.Tell("k")
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

// A forked process that has done nothing but count in words of its parent holds the lock of its
// parent. The inspector says so when the parent has ended: also of a parent that had another pid in its
// own namespace.
func TestForkedChildKeepsTheLock(t *testing.T) {
	for name, run := range map[string]func(dir string) *exec.Cmd{
		"in this namespace": func(dir string) *exec.Cmd { return reexec.Command("fork once", dir, "") },
		"in a pid namespace": func(dir string) *exec.Cmd {
			// The first process of a namespace takes all others with it, so the shell goes on.
			cmd := reexec.Command("fork once", dir, "")
			cmd.Args = append([]string{"sh", "-c", `exec 3<&0; "$0" "$@" <&3 & wait; cat`}, cmd.Args...)
			cmd.Path = "/bin/sh"
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
			return cmd
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := memoryDir(t)
			p, err := reexec.Try(t, run(dir))
			if errors.Is(err, syscall.EPERM) {
				t.Skipf("skipped: this user may not make pid namespaces: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			p.Until("child: ")
			i := inspect.New(inspect.Opts{Dir: dir})
			defer i.Close()
			if s := i.Read(); len(s.Processes) != 1 || s.Processes[0].State != inspect.Live || len(s.Problems) > 0 {
				t.Fatalf("parent and child live: %+v, %v", s.Processes, s.Problems)
			}
			p.Tell("k")
			promtest.Eventually(t, "the parent has ended", func() bool { return i.Read().Processes[0].State == inspect.Locked })
			s := i.Read()
			if got := s.Processes[0].Holders; len(got) != 1 || len(s.Problems) != 1 || !strings.Contains(s.Problems[0].What, "locked, and no such process") {
				t.Errorf("the holders are %v, the problems %v", got, s.Problems)
			}
			if found := slices.ContainsFunc(s.Doctor(), func(f inspect.Finding) bool { return f.Check == "files" && f.Severity == inspect.Error }); !found {
				t.Errorf("the doctor finds %v", s.Doctor())
			}
			p.CloseInput()
			promtest.Eventually(t, "the child has ended", func() bool { return i.Read().Processes[0].State == inspect.Dead })
		})
	}
}

// A reader, and a process that a living owner forked, are no reason to doubt the owner.
func TestReaderIsNoHolder(t *testing.T) {
	dir := memoryDir(t)
	s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	if err != nil {
		t.Fatal(err)
	}
	s.NewCounter(prometheus.CounterOpts{Name: "c", Help: "h"}).Inc()
	i := inspect.New(inspect.Opts{Dir: dir})
	defer i.Close()
	scrapeFamilies(t, dir)
	if s := i.Read(); s.Processes[0].State != inspect.Live {
		t.Errorf("a living process is %s", s.Processes[0].State)
	}
	name := processFiles(t, dir)[0]
	f, _, err := directory.OpenFile(filepath.Join(dir, layout.Subdirectory, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s := i.Read(); s.Processes[0].State != inspect.Dead {
		t.Errorf("a closed store is %s", s.Processes[0].State)
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
