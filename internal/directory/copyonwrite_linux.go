package directory

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// keepBlocks lets a new file keep its blocks where the file system would write each page to a new
// place: on btrfs, a page that was written back is read-only in memory, and the next update of a
// mapped page would need room for a copy of the page. Without room the update is a SIGBUS, which Go
// lets no library handle.
//
// An overlay may have btrfs below, and does not say so: there keepBlocks tries, and an error says
// nothing.
func keepBlocks(f *os.File) error {
	fd := int(f.Fd())
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return err
	}
	switch magicOf(&st) {
	case unix.OVERLAYFS_SUPER_MAGIC:
		_ = setNoCopyOnWrite(fd)
	case unix.BTRFS_SUPER_MAGIC:
		if err := setNoCopyOnWrite(fd); err != nil {
			return fmt.Errorf("btrfs would copy each page of %s, and a full disk would end the process; use tmpfs, for instance /dev/shm: chattr +C: %w", f.Name(), err)
		}
	}
	return nil
}

// setNoCopyOnWrite sets the attribute of an empty file.
func setNoCopyOnWrite(fd int) error {
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	if err := unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags|noCopyOnWrite)); err != nil {
		return err
	}
	flags, err = unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err == nil && flags&noCopyOnWrite == 0 {
		err = errors.New("the attribute is without effect")
	}
	return err
}

// noCopyOnWrite is FS_NOCOW_FL.
const noCopyOnWrite = 0x00800000
