package storetest

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
)

// child is a process of its own that counts.
type child struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

// start starts what a row's child does, in a process of its own.
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

// line is the next line that the child says.
func (c *child) line(t *trial) string {
	t.Helper()
	line, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// kill kills the child, and returns how many lines it has said since.
func (c *child) kill() (lines int) {
	if c.cmd.ProcessState != nil {
		return 0
	}
	_ = c.cmd.Process.Kill() // it may have ended by itself
	rest, _ := io.ReadAll(c.out)
	_ = c.cmd.Wait() // which says that it was killed
	return strings.Count(string(rest), "\n")
}
