//go:build linux || darwin || freebsd

package inspect

import (
	"fmt"
	"io/fs"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// freeSpace returns the free bytes and the free inodes of a directory.
func freeSpace(dir string) (bytes, inodes uint64, known bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, false
	}
	// Some file systems have no bound for files, and say 0 of 0.
	inodes = uint64(st.Ffree)
	if st.Files == 0 {
		inodes = 1 << 32
	}
	return uint64(st.Bavail) * uint64(st.Bsize), inodes, true
}

// ownerText is the owner of a file, by name if the name is known.
func ownerText(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "unknown"
	}
	id := strconv.Itoa(int(st.Uid))
	if u, err := user.LookupId(id); err == nil {
		return fmt.Sprintf("%s (uid %s)", u.Username, id)
	}
	return "uid " + id
}
