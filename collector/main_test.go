package collector_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

// programEnv names the program that a re-executed test binary runs instead of
// the tests: some cases want real processes.
const programEnv = "MPMETRICS_TEST_PROGRAM"

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
	if name := os.Getenv(programEnv); name != "" {
		programs[name](&child{in: bufio.NewScanner(os.Stdin), out: os.Stdout})
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// process is a child of the test.
type process struct {
	t   testing.TB
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

// spawn starts a program in a process of its own. It is killed when the test
// ends, if it still runs.
func spawn(t testing.TB, program string, env ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	// The race detector lets programs sleep for a second at their end.
	cmd.Env = append(append(os.Environ(), programEnv+"="+program, "GORACE=atexit_sleep_ms=0"), env...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: cmd, in: in, out: bufio.NewScanner(out)}
	t.Cleanup(p.kill)
	return p
}

// hear returns the child's next line.
func (p *process) hear() string {
	p.t.Helper()
	if !p.out.Scan() {
		p.t.Fatalf("child said nothing more: %v", p.out.Err())
	}
	return p.out.Text()
}

// tell sends a line to the child.
func (p *process) tell(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatal(err)
	}
}

// kill ends the child by SIGKILL and returns when it is gone.
func (p *process) kill() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = p.cmd.Process.Kill() // it may have ended by itself
	_ = p.cmd.Wait()         // the error says that it was killed
}

// end lets the child return from its program, and waits for that.
func (p *process) end() {
	p.t.Helper()
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		p.t.Fatalf("child: %v", err)
	}
}
