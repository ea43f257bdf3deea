// Package fork notices that this process is a fork of the one that started: a C
// library may call fork and go on without exec. Such a process has the mapped
// memory and the open files of its parent, but must not write to them.
package fork

import "os"

var started = os.Getpid()

// Pid is os.Getpid, without a system call in a process that was not forked.
func Pid() int {
	if Happened() {
		return os.Getpid()
	}
	return started
}

// Foreign reports whether a pid, which Pid returned earlier, is that of another
// process: this one was forked from it since.
func Foreign(pid int) bool { return Happened() && os.Getpid() != pid }
