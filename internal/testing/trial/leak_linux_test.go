package trial

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() {
	programs["leak"] = leak
	programs["survive"] = survive
}

// held opens a store that shows as a live gauge and counts.
func held(dir, process string) (prometheus.Counter, error) {
	s, err := store.Open(store.Opts{Location: dir, Process: process, NoAbsorption: true, Logger: silent})
	if err != nil {
		return nil, err
	}
	s.NewGauge(prometheus.GaugeOpts{Name: aliveEach, Help: "One for each living process."}, store.LiveAll).Set(1)
	return s.NewCounter(prometheus.CounterOpts{Name: "held_total", Help: "Counts."}), nil
}

// leak leaves the descriptor of its file to another program, which outlives it,
// and says the pid of that. args is the directory.
func leak(args []string) error {
	c, err := held(args[0], "leak")
	if err != nil {
		return err
	}
	c.Add(1000)
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	leaked := 0
	for _, fd := range fds {
		to, err := os.Readlink(filepath.Join("/proc/self/fd", fd.Name()))
		if err != nil || filepath.Ext(to) != layout.Extension {
			continue
		}
		n, err := strconv.Atoi(fd.Name())
		if err != nil {
			return err
		}
		if _, err := unix.FcntlInt(uintptr(n), unix.F_SETFD, 0); err != nil {
			return err
		}
		leaked++
	}
	if leaked != 1 {
		return fmt.Errorf("%d descriptors of files", leaked)
	}
	heir := exec.Command("sleep", "60")
	if err := heir.Start(); err != nil {
		return err
	}
	fmt.Println(heir.Process.Pid)
	select {}
}

// survive is a process with a child that counts for itself and outlives it. args
// are the directory and who this is.
func survive(args []string) error {
	parent := os.Getppid() // before the test can see that this process is there
	c, err := held(args[0], args[1])
	if err != nil {
		return err
	}
	if args[1] == "parent" {
		heir := reexec.Command("survive", args[0], "child")
		heir.Stdout, heir.Stderr = os.Stdout, os.Stderr
		if err := heir.Start(); err != nil {
			return err
		}
		c.Add(100)
		fmt.Println("parent", heir.Process.Pid)
		select {}
	}
	counted := 0
	for ; os.Getppid() == parent; counted++ {
		c.Inc()
		time.Sleep(100 * time.Microsecond)
	}
	fmt.Println("child", counted)
	select {}
}

// scraped is a collector that is scraped each 100 ms, and absorbs.
type scraped struct {
	c    *collector.Collector
	tick *time.Ticker
}

func scrapeOften(t *testing.T, dir string) *scraped {
	t.Helper()
	c := collector.New(collector.Opts{Location: dir, Logger: silent})
	t.Cleanup(func() { c.Close() })
	tick := time.NewTicker(100 * time.Millisecond)
	t.Cleanup(tick.Stop)
	return &scraped{c, tick}
}

// until scrapes until the condition holds, for so long at most, and returns how
// long that took.
func (s *scraped) until(t *testing.T, atMost time.Duration, what string, holds func(sight) bool) time.Duration {
	t.Helper()
	begin := time.Now()
	for {
		now := see(t, s.c)
		now.complete(t, what)
		took := time.Since(begin)
		if holds(now) {
			return took
		}
		if took > atMost {
			t.Errorf("%s: not within %v: %v", what, atMost, now.samples)
			return took
		}
		<-s.tick.C
	}
}

// stays scrapes for a while, in which a condition has to hold.
func (s *scraped) stays(t *testing.T, length time.Duration, what string, holds func(sight) bool) {
	t.Helper()
	for begin := time.Now(); time.Since(begin) < length; <-s.tick.C {
		now := see(t, s.c)
		now.complete(t, what)
		if !holds(now) {
			t.Fatalf("%s: %v", what, now.samples)
		}
	}
}

func lives(process string) func(sight) bool {
	return func(s sight) bool { return s.samples[aliveEach+" "+process] == 1 }
}

// The kernel drops the lock of a leaked descriptor with its last holder.
// Until then the owner counts as alive, and then it is absorbed within a second.
func TestLeakedDescriptorHoldsTheLock(t *testing.T) {
	t.Parallel()
	rounds, length := 3, 2*time.Second
	if effort.Soak() {
		rounds, length = 100, 10*time.Second
	}
	dir := memoryDir(t)
	s := scrapeOften(t, dir)
	var slowest time.Duration
	for n := range rounds {
		c := start(t, "leak", dir)
		line, err := c.Output().ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		heir, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			t.Fatal(err)
		}
		// Once: after its end the pid may be somebody else's.
		end := sync.OnceFunc(func() { _ = syscall.Kill(heir, syscall.SIGKILL) })
		defer end()
		// The heir has the pipe too: what is waited for is the process alone.
		c.Signal(syscall.SIGKILL)
		if _, err := c.Cmd.Process.Wait(); err != nil {
			t.Fatal(err)
		}
		total := float64(1000 * (n + 1))
		s.stays(t, length, "while the descriptor is held", func(now sight) bool {
			return lives("leak")(now) && now.samples["held_total"] == total && now.absorbed == float64(n) && len(processFiles(t, dir)) == 1
		})
		end()
		took := s.until(t, time.Second, "after the end of the last holder", func(now sight) bool {
			return !lives("leak")(now) && now.samples["held_total"] == total && len(processFiles(t, dir)) == 0
		})
		slowest = max(slowest, took)
	}
	t.Logf("%d owners that were killed while another program held their descriptor for %v: alive all the time, absorbed %v after its end at most",
		rounds, length, slowest.Round(time.Millisecond))
}

// A child that outlives its parent has a file and a lock of its own.
func TestChildOutlivesParent(t *testing.T) {
	t.Parallel()
	rounds := 3
	if effort.Soak() {
		rounds = 100
	}
	dir := memoryDir(t)
	s := scrapeOften(t, dir)
	var total float64
	var slowest time.Duration
	for range rounds {
		c := start(t, "survive", dir, "parent")
		var heir int
		if _, err := fmt.Fscanf(c.Output(), "parent %d\n", &heir); err != nil {
			t.Fatal(err)
		}
		// Once: after its end the pid may be somebody else's.
		end := sync.OnceFunc(func() { _ = syscall.Kill(heir, syscall.SIGKILL) })
		defer end()
		s.until(t, 5*time.Second, "both live", func(now sight) bool { return lives("parent")(now) && lives("child")(now) })
		c.Signal(syscall.SIGKILL)
		if _, err := c.Cmd.Process.Wait(); err != nil {
			t.Fatal(err)
		}
		parent := s.until(t, time.Second, "the parent is absorbed", func(now sight) bool {
			return !lives("parent")(now) && lives("child")(now) && len(processFiles(t, dir)) == 1
		})
		var counted float64
		if _, err := fmt.Fscanf(c.Output(), "child %g\n", &counted); err != nil {
			t.Fatal(err)
		}
		total += 100 + counted
		s.stays(t, 500*time.Millisecond, "the child goes on", func(now sight) bool {
			return lives("child")(now) && now.samples["held_total"] == total
		})
		end()
		if rest, err := io.ReadAll(c.Output()); err != nil || len(rest) > 0 {
			t.Fatalf("%q, %v", rest, err)
		}
		child := s.until(t, time.Second, "the child is absorbed", func(now sight) bool {
			return !lives("child")(now) && now.samples["held_total"] == total && len(processFiles(t, dir)) == 0
		})
		slowest = max(slowest, parent, child)
	}
	t.Logf("%d children that outlived their parents: totals exact, each absorbed within %v of its end", rounds, slowest.Round(time.Millisecond))
}
