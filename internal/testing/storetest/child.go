package storetest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
)

// child is a child process that counts.
type child struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// start starts the child of a row, in a separate process.
func (t *trial) start(row string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], t.location)
	cmd.Env = append(os.Environ(), childEnv+"="+row, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{cmd, bufio.NewReader(out)}
	t.Cleanup(func() { c.kill() })
	return c
}

// line is the next line of the child.
func (c *child) line(t *trial) string {
	t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// kill kills the child, and returns the number of lines since.
func (c *child) kill() (lines int) {
	if c.cmd.ProcessState != nil {
		return 0
	}
	_ = c.cmd.Process.Kill() // the child may have ended by itself
	rest, _ := io.ReadAll(c.out)
	_ = c.cmd.Wait() // the error says "killed"
	return strings.Count(string(rest), "\n")
}
