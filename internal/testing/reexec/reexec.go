// Package reexec lets tests run named programs in child processes of the test binary, and
// other programs beside. Many promises are about several processes, and about processes that are
// killed.
//
//	var programs = reexec.Programs{"count": count}
//
//	func TestMain(m *testing.M) {
//		programs.Main()
//		os.Exit(m.Run())
//	}
//
//	child := reexec.Start(t, "count", dir)
//	child.Line()
package reexec

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Env names the program that the test binary runs instead of the tests.
const Env = "MPMETRICS_TEST_PROGRAM"

// patience bounds each wait for a child, far above the time that a busy machine needs.
const patience = 2 * time.Minute

// Programs are the programs of a test binary by name. A program that returns ends without
// closing anything, as most processes do; an error goes to the standard error and makes the exit
// status 1.
type Programs map[string]func(args []string) error

// Main runs the program that the environment names, and exits. Without a name Main returns.
// Call Main at the beginning of TestMain.
func (p Programs) Main() {
	name, named := os.LookupEnv(Env)
	if !named {
		return
	}
	run := p[name]
	if run == nil {
		fmt.Fprintf(os.Stderr, "no program %q in %s\n", name, os.Args[0])
		os.Exit(2)
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Command returns the command that runs a program of this test binary. The caller may add to the
// command before Run.
func Command(program string, args ...string) *exec.Cmd {
	return As(program, exec.Command(os.Args[0], args...))
}

// Again returns the command that runs the test t in a child, where the test needs a process of its
// own and a [testing.T]. The caller adds to the environment what tells the test that it is the child.
func Again(t *testing.T) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout="+patience.String())
	cmd.Env = append(cmd.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// As makes a command that runs a test binary, directly or by another command such as strace, run
// one of the programs of the binary.
func As(program string, cmd *exec.Cmd) *exec.Cmd {
	// By default a program with the race detector sleeps for a second at its end.
	cmd.Env = append(cmd.Environ(), Env+"="+program, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// Process is a running child.
type Process struct {
	// Cmd is the command of the child.
	Cmd *exec.Cmd

	t   testing.TB
	in  io.WriteCloser // nil: the command had a standard input
	out *os.File       // nil: the command had a standard output
	buf *bufio.Reader
}

// Start starts a program of this test binary with arguments.
func Start(t testing.TB, program string, args ...string) *Process {
	t.Helper()
	return Run(t, Command(program, args...))
}

// Run starts a command. The child is killed at the end of the test at the latest. Its standard
// error is that of the test, unless the command has another one.
func Run(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p, err := Try(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Try is Run for a command that may not start, such as one in new namespaces.
func Try(t testing.TB, cmd *exec.Cmd) (*Process, error) {
	t.Helper()
	return run(t, cmd, false)
}

// RunLog is Run for a program whose log the test reads: Output and Line are of the standard error.
func RunLog(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p, err := run(t, cmd, true)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func run(t testing.TB, cmd *exec.Cmd, log bool) (*Process, error) {
	t.Helper()
	p := &Process{Cmd: cmd, t: t}
	if cmd.Stderr == nil && !log {
		cmd.Stderr = os.Stderr
	}
	if cmd.WaitDelay == 0 {
		cmd.WaitDelay = patience // a grandchild may hold the output
	}
	var err error
	if cmd.Stdin == nil {
		p.in, err = cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
	}
	if pipe := cmd.StdoutPipe; log || cmd.Stdout == nil {
		if log {
			pipe = cmd.StderrPipe
		}
		out, err := pipe()
		if err != nil {
			return nil, err
		}
		p.out = out.(*os.File)
		p.buf = bufio.NewReader(p.out)
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill() // the child may have ended by itself
			_ = cmd.Wait()         // the error says "killed"
		}
	})
	return p, nil
}

// Tell writes a line to the input of the child.
func (p *Process) Tell(line string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		p.t.Fatalf("tell %s %q: %v", p.Cmd.Path, line, err)
	}
}

// Input is the standard input of the child.
func (p *Process) Input() io.WriteCloser { return p.in }

// Output is the output of the child after the last Line.
func (p *Process) Output() *bufio.Reader { return p.buf }

// Line returns the next line of the child, without the line feed. The test fails if the child
// ends or stays silent.
func (p *Process) Line() string {
	p.t.Helper()
	line, err := p.line()
	if err != nil {
		p.t.Fatalf("%s after %q: %v", p.Cmd.Path, line, err)
	}
	return line
}

// Until reads lines until one has the prefix, and returns the rest of the line.
func (p *Process) Until(prefix string) string {
	p.t.Helper()
	for {
		line, err := p.line()
		if err != nil {
			p.t.Fatalf("%s ended without a line %q: %v", p.Cmd.Path, prefix, err)
		}
		if rest, found := strings.CutPrefix(line, prefix); found {
			return rest
		}
	}
}

func (p *Process) line() (string, error) {
	_ = p.out.SetReadDeadline(time.Now().Add(patience)) // a system without deadlines waits
	defer func() { _ = p.out.SetReadDeadline(time.Time{}) }()
	line, err := p.buf.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err
}

// Signal sends a signal. A child that has ended gets no signal.
func (p *Process) Signal(s os.Signal) { _ = p.Cmd.Process.Signal(s) }

// Kill ends the child by SIGKILL, and returns the output since the last Line: what a process has
// written into a pipe stays there. A child that has ended has no output left.
func (p *Process) Kill() []byte {
	if p.Cmd.ProcessState != nil {
		return nil
	}
	_ = p.Cmd.Process.Kill() // the child may have ended by itself
	rest := p.rest(patience)
	_ = p.Cmd.Wait() // the error says "killed"
	return rest
}

// CloseInput closes the standard input of the child.
func (p *Process) CloseInput() { _ = p.in.Close() }

// Wait returns when the child has ended, with the output since the last Line. The test fails if
// the child does not end.
func (p *Process) Wait() ([]byte, error) {
	p.t.Helper()
	return p.WaitFor(patience)
}

// WaitFor is Wait with another limit.
func (p *Process) WaitFor(limit time.Duration) ([]byte, error) {
	p.t.Helper()
	timer := time.AfterFunc(limit, func() { _ = p.Cmd.Process.Kill() })
	rest := p.rest(limit + patience)
	err := p.Cmd.Wait()
	if !timer.Stop() {
		p.t.Fatalf("%s did not end within %v", p.Cmd.Path, limit)
	}
	return rest, err
}

// End closes the input of the child, and waits until the child has ended with success.
func (p *Process) End() []byte {
	p.t.Helper()
	p.CloseInput()
	rest, err := p.Wait()
	if err != nil {
		p.t.Fatalf("%s: %v", p.Cmd.Path, err)
	}
	return rest
}

func (p *Process) rest(limit time.Duration) []byte {
	if p.buf == nil {
		return nil
	}
	_ = p.out.SetReadDeadline(time.Now().Add(limit)) // a grandchild may hold the pipe
	rest, _ := io.ReadAll(p.buf)                     // an error is the end of the pipe
	return rest
}
