// Package fork notices that a C library has forked the process without exec. A forked process has
// the mapped memory and the open files of its parent, and must not write to either, because the
// parent writes too.
//
// A forked process has only the thread that forked. No other goroutine runs, so the notice is taken
// by the goroutine of an update; see Notice.
package fork

import (
	"os"
	"sync"
	"sync/atomic"
)

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

// Leaver has files or connections that a forked process must leave to its parent.
type Leaver interface {
	// LeaveToParent gives up the files or connections of the parent, if there are any, and says so.
	// The caller may hold any lock, and a thread that the process does not have may have held any
	// lock at the fork: LeaveToParent waits for no lock and for no goroutine, and calls no foreign
	// code.
	LeaveToParent()
}

var (
	leavers sync.Map     // of Leaver
	noticed atomic.Int64 // the last process that called the leavers
)

// Watch lets Notice call a Leaver.
func Watch(l Leaver) { leavers.Store(l, nil) }

// Forget ends Watch.
func Forget(l Leaver) { leavers.Delete(l) }

// Notice calls the leavers, once in a forked process; in another process Notice costs as much as
// Happened. The steps that are taken rarely call Notice: a new series, the first observation of a
// histogram, a flush.
func Notice() {
	if !Happened() {
		return
	}
	pid := os.Getpid()
	if pid == started || noticed.Swap(int64(pid)) == int64(pid) {
		return
	}
	leavers.Range(func(l, _ any) bool {
		l.(Leaver).LeaveToParent()
		return true
	})
}
