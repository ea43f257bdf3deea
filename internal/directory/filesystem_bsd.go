//go:build darwin || freebsd

package directory

import "golang.org/x/sys/unix"

// networkOf returns the name of the network file system of an open directory, or "": these systems
// know whether a file system is local.
func networkOf(fd int) (string, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return "", err
	}
	if uint64(st.Flags)&unix.MNT_LOCAL == 0 {
		return "network", nil
	}
	return "", nil
}
