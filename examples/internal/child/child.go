// Package child lets the tests of an example run the example in child processes of the test
// binary. An environment variable turns the test binary into the example.
package child

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

// program is the name of the example among the programs of the test binary.
const program = "example"

// Main is the body of TestMain: Main runs the example in a child, and the tests otherwise.
func Main(m *testing.M, example func()) {
	reexec.Programs{program: func([]string) error {
		example()
		return nil
	}}.Main()
	os.Exit(m.Run())
}

// Process is the example, running.
type Process = reexec.Process

// Command is the example with arguments, to be run as the caller likes.
func Command(t testing.TB, dir string, arguments ...string) *exec.Cmd {
	t.Helper()
	cmd := reexec.Command(program, arguments...)
	cmd.Env = append(cmd.Env, store.EnvDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// Start starts the example. The process is killed at the end of the test.
func Start(t testing.TB, dir string, arguments ...string) *Process {
	t.Helper()
	return reexec.Run(t, Command(t, dir, arguments...))
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
