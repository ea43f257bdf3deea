// Package child lets the tests of an example run the example in child processes of the test
// binary. An environment variable turns the test binary into the example.
package child

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/store"
)

// env makes the test binary the example.
const env = "MPMETRICS_TEST_EXAMPLE"

// Main is the body of TestMain: Main runs the program in a child, and the tests otherwise.
func Main(m *testing.M, program func()) {
	if os.Getenv(env) != "" {
		program()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Command is the example with arguments, to be run as the caller likes.
func Command(t testing.TB, dir string, arguments ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], arguments...)
	// By default a program with the race detector sleeps for a second at its end.
	cmd.Env = append(os.Environ(), env+"=1", store.EnvDir+"="+dir, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// Process is the example, running.
type Process struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// Start starts the example. The process is killed at the end of the test.
func Start(t testing.TB, dir string, arguments ...string) *Process {
	t.Helper()
	return StartCommand(t, Command(t, dir, arguments...))
}

// StartCommand starts a command of Command.
func StartCommand(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{cmd, bufio.NewReader(out)}
	t.Cleanup(func() { p.Kill() })
	return p
}

// Line is the next line of the process.
func (p *Process) Line(t testing.TB) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// Kill kills the process and returns its output since the last Line: the output stays in the pipe.
func (p *Process) Kill() []byte {
	if p.cmd.ProcessState != nil {
		return nil
	}
	_ = p.cmd.Process.Kill() // the process may have ended by itself
	rest, _ := io.ReadAll(p.out)
	_ = p.cmd.Wait() // the error says "killed"
	return rest
}

// Signal sends the process a signal.
func (p *Process) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Wait waits until the process has ended by itself, or has closed its output.
func (p *Process) Wait() {
	_, _ = io.Copy(io.Discard, p.out)
	_ = p.cmd.Wait() // the error may say "killed"
}

// Get returns the page at an address, over a kept connection if the server keeps connections.
func Get(url string) (string, error) {
	answer, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s\n%s", url, answer.Status, b)
	}
	return string(b), err
}

// Scrape returns the metrics at an address.
func Scrape(t testing.TB, url string) string {
	t.Helper()
	text, err := Get(url)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Sample is the value of a sample in an exposition, -1 for a missing sample. The name includes the
// labels, as written.
func Sample(text, name string) float64 {
	for line := range strings.Lines(text) {
		rest, found := strings.CutPrefix(line, name+" ")
		var v float64
		if _, err := fmt.Sscan(rest, &v); found && err == nil {
			return v
		}
	}
	return -1
}

// Eventually waits until holds returns true: a flush or a tick may come first.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
