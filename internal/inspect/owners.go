package inspect

import (
	"fmt"
	"strconv"
	"strings"
)

// A process that was forked without exec shares the lock of its parent, and the lock stays after the
// death of the parent. /proc/PID/fdinfo says of each descriptor whether a process holds a lock by the
// descriptor. A pid in a header is a pid of the namespace of the owner, so a holder is the owner if
// any of its pids, in any namespace, is the pid in the header.
//
// If no holder is visible here, because of another pid namespace or another user, the owner counts as
// living, as for a scrape. /proc/locks would say no more: in a pid namespace the kernel shows no lock
// of a process that has ended.

// owners finds the owners of locked files.
type owners struct {
	last map[string]int   // by name of the file: the owner as found last, by its pid here
	held map[string][]int // by name of the file: the pids of all holders; nil: not looked yet
}

// begin begins a survey.
func (o *owners) begin() {
	o.held = nil
	if o.last == nil {
		o.last = map[string]int{}
	}
}

// missing returns the pids of the processes that hold the lock of a file whose owner has ended; nil
// if the owner lives, or if no process is known to hold the lock.
func (o *owners) missing(p *Process) (holders []int) {
	for _, pid := range []int{o.last[p.Name], p.PID} {
		if pid > 0 && holdsLock(pid, p.Name) && hasPID(pid, p.PID) {
			o.last[p.Name] = pid
			return nil
		}
	}
	if o.held == nil {
		o.held = allHolders()
	}
	holders = o.held[p.Name]
	for _, pid := range holders {
		if hasPID(pid, p.PID) {
			o.last[p.Name] = pid
			return nil
		}
	}
	return holders
}

// lockedBy is the problem of a file whose owner has ended, and whose lock has not.
func (p *Process) lockedBy() Problem {
	pids := make([]string, len(p.Holders))
	for i, pid := range p.Holders {
		pids[i] = strconv.Itoa(pid)
	}
	return Problem{
		Severity: Error, Subject: Escape(p.Name), Reason: string(Locked),
		What:   fmt.Sprintf("locked, and no such process: %d has ended, and processes that it forked hold its lock: %s", p.PID, strings.Join(pids, ", ")),
		Means:  "the process counts as living until they end: its live gauges stay, and it is not absorbed",
		Remedy: "start processes by exec, not by fork alone (in Python: the start method spawn); end the forked ones",
	}
}
