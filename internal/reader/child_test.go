//go:build unix

package reader

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
)

// programEnv selects what a re-executed test binary does instead of testing.
const programEnv = "MPMETRICS_READER_PROGRAM"

var programs = map[string]func(path string) error{
	"commit": commitForEver,
	"store":  storeForEver,
	"churn":  churnForEver,
	"anew":   anewForEver,
}

func TestMain(m *testing.M) {
	name := os.Getenv(programEnv)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := programs[name](os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, name+":", err)
		os.Exit(1)
	}
}

// startWriter runs a program on a file until the end of the test, and returns
// when it says that it writes. kill ends it by SIGKILL before.
func startWriter(t *testing.T, program, path string) (kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), programEnv+"="+program)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	t.Cleanup(kill)
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatalf("writer did not start: %v", err)
	}
	return kill
}

func ready() { fmt.Print("r") }
