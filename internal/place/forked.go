package place

import (
	"bytes"
	"errors"
	"log/slog"
	"syscall"
)

// ErrForked is the error of a place in a process that was forked without exec. Go does
// not support such a process, and the file or the connections belong to its parent.
var ErrForked = errors.New("this process was forked without exec from the process that opened the store: it counts in memory, and no reader sees its counts; start processes by exec (in Python: the start method spawn)")

// SayForked writes a line with ErrForked to the standard error. A log handler may wait for a lock
// that another thread had at the fork; the forked process does not have the thread.
func SayForked(where slog.Attr) {
	var line bytes.Buffer
	slog.New(slog.NewTextHandler(&line, nil)).Error("mpmetrics: counting in memory", where, "err", ErrForked)
	_, _ = syscall.Write(syscall.Stderr, line.Bytes()) // no other place can take the error
}
