package trial

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() { programs["contained"] = contained }

// contained counts under the pid that it has in its namespace, says that it did,
// and ends without Close or waits to be killed. args are the directory, the
// number of its container, and which of both.
func contained(args []string) error {
	s, err := store.Open(store.Opts{Location: args[0], NoAbsorption: true, Logger: silent})
	if err != nil {
		return err
	}
	c := s.NewCounterVec(prometheus.CounterOpts{Name: "contained_total", Help: "Counts."}, []string{"container"}).WithLabelValues(args[1])
	for range 10 {
		c.Inc()
	}
	fmt.Println("counted as", os.Getpid())
	if args[2] == "wait" {
		select {}
	}
	return nil
}

// In two containers that share a directory everybody has the same pid, 1.
// Every process is the first of a pid namespace of its own, as the one of a
// container is.
func TestEqualPidsInPidNamespaces(t *testing.T) {
	t.Parallel()
	processes := 1000
	if effort.Soak() {
		processes = 20_000
	}
	const containers = 2
	binary, dir := plainBinary(t), memoryDir(t)
	contain := func(args ...string) *exec.Cmd {
		cmd := exec.Command(binary, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
		return cmd
	}
	if err := exec.Command(binary, "-test.run=^$").Run(); err != nil {
		t.Fatal(err)
	}
	if err := contain("-test.run=^$").Run(); errors.Is(err, syscall.EPERM) {
		t.Skipf("skipped: this user may not make pid namespaces: %v", err)
	}

	// Names are noted down until the files are absorbed.
	done := make(chan struct{})
	names := map[string]bool{}
	var watching sync.WaitGroup
	c := collector.New(collector.Opts{Location: dir, Logger: silent})
	defer c.Close()
	watching.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for before := 0.0; ; <-tick.C {
			for _, name := range processFiles(t, dir) {
				names[name] = true
			}
			now := see(t, c)
			now.complete(t, "meanwhile")
			total := now.samples["contained_total 0"] + now.samples["contained_total 1"]
			if total < before {
				t.Errorf("from %v to %v", before, total)
			}
			before = total
			select {
			case <-done:
				return
			default:
			}
		}
	})
	begin := time.Now()
	var running sync.WaitGroup
	for container := range containers {
		running.Go(func() {
			for n := range processes / containers {
				end := [2]string{"exit", "wait"}[n%2]
				c := launch(t, contain(dir, strconv.Itoa(container), end), "contained")
				var pid int
				if _, err := fmt.Fscanf(c.Output(), "counted as %d\n", &pid); err != nil || pid != 1 {
					t.Errorf("process %d of container %d: pid %d, %v", n, container, pid, err)
					return
				}
				if end == "wait" {
					c.Signal(syscall.SIGKILL)
				}
				c.ended(t)
			}
		})
	}
	running.Wait()
	took := time.Since(begin)
	close(done)
	watching.Wait()
	c.Close() // an absorption that it began included

	absorbRest(t, dir)
	now := scrapeOnce(t, dir)
	now.complete(t, "in the end")
	for container := range containers {
		if n := now.samples["contained_total "+strconv.Itoa(container)]; n != float64(processes/containers*10) {
			t.Errorf("container %d: counted %v, want %d", container, n, processes/containers*10)
		}
	}
	if now.absorbed != float64(processes) {
		t.Errorf("%v processes were absorbed, want %d", now.absorbed, processes)
	}
	if n := len(processFiles(t, dir)); n > 0 {
		t.Errorf("%d files are left", n)
	}
	for name := range names {
		if pid, _, err := layout.ParseFileName(name); err != nil || pid != 1 {
			t.Errorf("file %s", name)
		}
	}
	t.Logf("%d processes in pid namespaces, two at a time, all with pid 1, half of them killed, in %v: %d names seen, each absorbed once, totals exact",
		processes, took.Round(time.Millisecond), len(names))
}
