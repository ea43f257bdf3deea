package collector_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
)

// programs are what a child can be. One that returns ends without Close, as
// most processes do.
var programs = map[string]func(*child){}

// child is the other side of a spawned process: lines in, lines out.
type child struct {
	in  *bufio.Scanner
	out io.Writer
}

// say tells the parent that a step is done.
func (c *child) say(format string, args ...any) { fmt.Fprintf(c.out, format+"\n", args...) }

// wait waits for the parent's next line; false once the parent has closed.
func (c *child) wait() (string, bool) {
	if !c.in.Scan() {
		return "", false
	}
	return c.in.Text(), true
}

func TestMain(m *testing.M) {
	all := reexec.Programs{}
	for name, program := range programs {
		all[name] = func([]string) error {
			program(&child{in: bufio.NewScanner(os.Stdin), out: os.Stdout})
			return nil
		}
	}
	all.Main()
	goleak.VerifyTestMain(m)
}

// spawn starts a program in a process of its own. It is killed when the test
// ends, if it still runs.
func spawn(t testing.TB, program string, env ...string) *reexec.Process {
	t.Helper()
	cmd := reexec.Command(program)
	cmd.Env = append(cmd.Env, env...)
	return reexec.Run(t, cmd)
}
