package boot

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const bootID = "/proc/sys/kernel/random/boot_id"

// maxName is more than the kernel's name has. A container may mount any file.
const maxName = 64

// nameOf returns the name of the boot. A name from a file outside of procfs is not the kernel's: a
// container has mounted the file there.
func nameOf() string {
	f, err := os.Open(bootID)
	if err != nil {
		return "" // no /proc
	}
	defer f.Close()
	b := make([]byte, maxName)
	n, err := f.Read(b)
	if err != nil {
		return ""
	}
	words := strings.Fields(strings.ReplaceAll(string(b[:n]), "@", " "))
	if len(words) == 0 {
		return ""
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil || uint32(st.Type) != unix.PROC_SUPER_MAGIC {
		return ofContainer + words[0]
	}
	return words[0]
}
