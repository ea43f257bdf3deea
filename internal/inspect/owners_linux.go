package inspect

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// lockedFiles returns the names of the files of processes whose locks a process holds. A process of
// another user shows no descriptors, and returns none.
func lockedFiles(pid int) (names []string) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		target, _ := os.Readlink(filepath.Join(dir, e.Name()))
		name := filepath.Base(strings.TrimSuffix(target, " (deleted)"))
		if _, _, err := layout.ParseFileName(name); err != nil {
			continue
		}
		// A reader has the file open too, without its lock.
		info, _ := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, e.Name()))
		for line := range strings.Lines(string(info)) {
			if strings.HasPrefix(line, "lock:") && strings.Contains(line, "FLOCK") && strings.Contains(line, "WRITE") {
				names = append(names, name)
			}
		}
	}
	return names
}

func holdsLock(pid int, name string) bool { return slices.Contains(lockedFiles(pid), name) }

// allHolders returns the pids of all processes with locks, by name of the file.
func allHolders() map[string][]int {
	held := map[string][]int{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		for _, name := range lockedFiles(pid) {
			held[name] = append(held[name], pid)
		}
	}
	return held
}

// hasPID reports whether a process has a pid, here or in a namespace below.
func hasPID(pid, want int) bool {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if pids, found := strings.CutPrefix(line, "NSpid:"); found {
			return slices.Contains(strings.Fields(pids), strconv.Itoa(want))
		}
	}
	return pid == want
}
