// Package child lets the tests of an example run the example in child processes of the test
// binary. An environment variable turns the test binary into the example.
package child

import (
	"os"
	"os/exec"
	"testing"

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
