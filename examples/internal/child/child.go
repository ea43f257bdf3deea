// Package child lets the tests of an example run it: as processes of the test binary, which is the example when
// the environment says so.
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

// Main is what TestMain of an example does: it runs the program in a child, and the tests elsewhere.
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
	// The race detector lets programs sleep for a second at their end.
	cmd.Env = append(os.Environ(), env+"=1", store.EnvDir+"="+dir, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// Process is the example, running.
type Process struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// Start starts the example. It is killed when the test ends.
func Start(t testing.TB, dir string, arguments ...string) *Process {
	t.Helper()
	return StartCommand(t, Command(t, dir, arguments...))
}

// StartCommand starts what Command made.
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

// Line is the next line that the process prints.
func (p *Process) Line(t testing.TB) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// Kill kills the process and returns what it has printed since: it stays in the pipe.
func (p *Process) Kill() []byte {
	if p.cmd.ProcessState != nil {
		return nil
	}
	_ = p.cmd.Process.Kill() // it may have ended by itself
	rest, _ := io.ReadAll(p.out)
	_ = p.cmd.Wait() // which says that it was killed
	return rest
}

// Signal sends the process a signal.
func (p *Process) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Wait waits until the process has ended by itself, or its output was closed.
func (p *Process) Wait() {
	_, _ = io.Copy(io.Discard, p.out)
	_ = p.cmd.Wait() // which may say that it was killed
}

// Get returns what is at an address, over a connection that is kept if the server keeps it.
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

// Scrape returns what is at an address of metrics.
func Scrape(t testing.TB, url string) string {
	t.Helper()
	text, err := Get(url)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Sample is the value of a sample in an exposition, -1 if it is not there. The name has its labels, as they are written.
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

// Eventually waits for what comes within a flush or a tick.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
