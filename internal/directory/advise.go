package directory

import (
	"errors"
	"fmt"
	"syscall"
)

// Advise adds the remedy to the error of a file system that has no room, or takes no writes. Other
// errors stay as they are.
func Advise(err error) error {
	for _, c := range []struct {
		errno  syscall.Errno
		remedy string
	}{
		{errno: syscall.ENOSPC, remedy: "make room on the file system"},
		{errno: syscall.EDQUOT, remedy: "raise the quota of the user, or make room"},
		{errno: syscall.EROFS, remedy: "the file system is read-only: find out why, and mount it with rw again"},
	} {
		if errors.Is(err, c.errno) {
			return fmt.Errorf("%w; %s", err, c.remedy)
		}
	}
	return err
}
