//go:build unix

package reader

import (
	"fmt"
	"os"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
)

var programs = reexec.Programs{
	"commit": onFile(commitForEver),
	"store":  onFile(storeForEver),
	"churn":  onFile(churnForEver),
	"anew":   onFile(anewForEver),
}

func onFile(program func(path string) error) func([]string) error {
	return func(args []string) error { return program(args[0]) }
}

func TestMain(m *testing.M) {
	programs.Main()
	os.Exit(m.Run())
}

// startWriter runs a program on a file until the end of the test, and returns
// when it says that it writes. kill ends it by SIGKILL before.
func startWriter(t *testing.T, program, path string) (kill func()) {
	t.Helper()
	p := reexec.Start(t, program, path)
	p.Line()
	return func() { p.Kill() }
}

func ready() { fmt.Println("ready") }
