package store

import (
	"os"
	"strings"
)

// bootID names this boot of the machine: after another one, what the last
// seconds wrote to a disk may be missing from a file.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // no /proc: unknown
	}
	return strings.TrimSpace(string(b))
}
