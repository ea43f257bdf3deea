package storetest

import (
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
)

// child is a child process that counts.
type child struct{ *reexec.Process }

// start starts the child of a row, in a separate process.
func (t *trial) start(row string) *child {
	t.Helper()
	return &child{reexec.Start(t, row, t.location)}
}

// kill kills the child, and returns the number of lines since.
func (c *child) kill() (lines int) { return strings.Count(string(c.Kill()), "\n") }
