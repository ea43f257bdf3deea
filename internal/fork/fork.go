// Package fork notices that a C library has forked the process without exec. A forked process has
// the mapped memory and the open files of its parent, and must not write to either, because the
// parent writes too.
package fork

import "os"

var started = os.Getpid()

// Pid returns os.Getpid, without a system call in a process that was not forked.
func Pid() int {
	if Happened() {
		return os.Getpid()
	}
	return started
}

// Foreign reports whether an earlier result of Pid is the pid of another process, because the
// process was forked since.
func Foreign(pid int) bool { return Happened() && os.Getpid() != pid }
