//go:build unix

package trial

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
)

// programEnv selects what a re-executed test binary does instead of testing.
const programEnv = "MPMETRICS_TRIAL_PROGRAM"

// programs are the children. Each runs until it is killed, or ends without
// Close, as most processes do.
var programs = map[string]func(args []string) error{
	"count":   count,
	"observe": observe,
	"grow":    grow,
	"churn":   churn,
	"replace": replace,
	"compact": compactForever,
	"absorb":  absorbOnce,
}

func TestMain(m *testing.M) {
	name := os.Getenv(programEnv)
	if name == "" {
		status := m.Run()
		removePlain()
		os.Exit(status)
	}
	if err := programs[name](os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// child is a running program. What it writes to its standard output is the
// witness: a byte in the pipe stays there when the child is killed.
type child struct {
	cmd    *exec.Cmd
	output *bufio.Reader
}

// start runs a program. It is killed at the end of the test at the latest.
func start(t testing.TB, program string, args ...string) *child {
	t.Helper()
	return launch(t, exec.Command(os.Args[0], args...), program)
}

// launch runs a program by a command that the caller has prepared.
func launch(t testing.TB, cmd *exec.Cmd, program string) *child {
	t.Helper()
	// The race detector lets programs sleep for a second at their end.
	cmd.Env = append(cmd.Environ(), programEnv+"="+program, "GORACE=atexit_sleep_ms=0")
	if cmd.Stderr == nil {
		cmd.Stderr = os.Stderr
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: cmd, output: bufio.NewReader(out)}
	t.Cleanup(func() { c.signal(syscall.SIGKILL) })
	return c
}

// signal does nothing to a child that has ended.
func (c *child) signal(s os.Signal) { _ = c.cmd.Process.Signal(s) }

// ended returns everything that the child wrote until it was killed.
func (c *child) ended(t testing.TB) []byte {
	t.Helper()
	witness, err := io.ReadAll(c.output)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Wait(); err != nil && !strings.Contains(err.Error(), "killed") {
		t.Fatalf("child was not killed, it ended: %v", err)
	}
	return witness
}

// collect collects without a registry: what is tested is the reading.
func collect(c *collector.Collector) <-chan prometheus.Metric {
	metrics := make(chan prometheus.Metric, 1000)
	go func() {
		defer close(metrics)
		c.Collect(metrics)
	}()
	return metrics
}

// soak reports whether the full numbers of a release are asked for.
func soak() bool { return os.Getenv("MPMETRICS_SOAK") != "" }
