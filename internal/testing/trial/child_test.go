//go:build unix

package trial

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
)

// programs are the children. Each runs until it is killed, or ends without
// Close, as most processes do.
var programs = reexec.Programs{
	"count":   count,
	"observe": observe,
	"grow":    grow,
	"churn":   churn,
	"replace": replace,
	"compact": compactForever,
	"absorb":  absorbOnce,
}

func TestMain(m *testing.M) {
	programs.Main()
	status := m.Run()
	removePlain()
	os.Exit(status)
}

// child is a running program. What it writes to its standard output is the
// witness: a byte in the pipe stays there when the child is killed.
type child struct{ *reexec.Process }

// start runs a program. It is killed at the end of the test at the latest.
func start(t testing.TB, program string, args ...string) *child {
	t.Helper()
	return &child{reexec.Start(t, program, args...)}
}

// launch runs a program by a command that the caller has prepared.
func launch(t testing.TB, cmd *exec.Cmd, program string) *child {
	t.Helper()
	return &child{reexec.Run(t, reexec.As(program, cmd))}
}

// ended returns everything that the child wrote until it was killed.
func (c *child) ended(t testing.TB) []byte {
	t.Helper()
	witness, err := c.WaitFor(10 * time.Minute) // an absorption of many dead included
	if err != nil && !strings.Contains(err.Error(), "killed") {
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
