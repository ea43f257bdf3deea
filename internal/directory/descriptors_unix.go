//go:build linux || darwin || freebsd

package directory

import (
	"errors"
	"math"
	"runtime"

	"golang.org/x/sys/unix"
)

// Descriptors returns how many descriptors the process may have open, and how many it has open; -1
// for an unknown number. Linux tells the number of open descriptors since version 6.2, and counting
// them would take as long as a service has connections.
func Descriptors() (limit, open int64) {
	limit, open = -1, -1
	var max unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &max); err == nil {
		limit = int64(max.Cur)
		if limit < 0 {
			limit = math.MaxInt64 // none
		}
	}
	var st unix.Stat_t
	if runtime.GOOS == "linux" && unix.Stat("/proc/self/fd", &st) == nil && st.Size > 0 {
		open = st.Size
	}
	return limit, open
}

// OutOfDescriptors reports whether an error says that the process, or the system, has no descriptor
// left.
func OutOfDescriptors(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}
