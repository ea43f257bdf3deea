package inspect

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// locksExclude tries whether two locks in a directory exclude each other, on a file without a
// name, invisible to other processes. tried is false if such a file cannot be made.
func locksExclude(dir string) (tried bool, err error) {
	first, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return false, err
	}
	defer unix.Close(first)
	// dup would share the lock.
	second, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", first), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(second)
	if err := unix.Flock(first, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return true, fmt.Errorf("a file cannot be locked: %w", err)
	}
	switch err := unix.Flock(second, unix.LOCK_SH|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return true, nil
	case err != nil:
		return true, fmt.Errorf("a file cannot be locked: %w", err)
	}
	return true, errors.New("two locks on one file do not exclude each other")
}
