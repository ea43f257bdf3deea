package directory

import "golang.org/x/sys/unix"

// OnDisk reports whether a directory is known to be on a file system that is
// not kept in memory.
func OnDisk(path string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return false // not known
	}
	switch int64(st.Type) {
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return false
	}
	return true
}
