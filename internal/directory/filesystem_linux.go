package directory

import "golang.org/x/sys/unix"

// OnDisk reports whether a directory is known to be on a file system outside memory.
func OnDisk(path string) bool {
	memory, known := inMemory(path)
	return known && !memory
}

// InMemory reports whether a directory is known to be on a file system in memory: a file that is there
// was written since the machine was started.
func InMemory(path string) bool {
	memory, known := inMemory(path)
	return known && memory
}

func inMemory(path string) (memory, known bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return false, false
	}
	switch magicOf(&st) {
	case unix.TMPFS_MAGIC, unix.RAMFS_MAGIC:
		return true, true
	}
	return false, true
}

// magicOf is the number of a file system. The number has 32 bits, although some processors store
// the number, signed, in a long.
func magicOf(st *unix.Statfs_t) uint32 { return uint32(st.Type) }

// Numbers of file systems without a name in x/sys.
const (
	gfs2Magic   = 0x01161970
	gpfsMagic   = 0x47504653
	lustreMagic = 0x0bd00bd0
	vboxMagic   = 0x786f4256
)

// networkNames are the file systems with locks, or mapped pages, that another machine or a user
// program may control.
var networkNames = map[uint32]string{
	unix.NFS_SUPER_MAGIC:   "NFS",
	unix.SMB_SUPER_MAGIC:   "SMB",
	unix.CIFS_SUPER_MAGIC:  "CIFS",
	unix.SMB2_SUPER_MAGIC:  "SMB2",
	unix.V9FS_MAGIC:        "9p",
	unix.FUSE_SUPER_MAGIC:  "FUSE",
	unix.AFS_SUPER_MAGIC:   "AFS",
	unix.AFS_FS_MAGIC:      "AFS",
	unix.CEPH_SUPER_MAGIC:  "Ceph",
	unix.CODA_SUPER_MAGIC:  "Coda",
	unix.OCFS2_SUPER_MAGIC: "OCFS2",
	gfs2Magic:              "GFS2",
	gpfsMagic:              "GPFS",
	lustreMagic:            "Lustre",
	vboxMagic:              "vboxsf",
}

// networkOf returns the name of the network file system of an open directory, or "".
func networkOf(fd int) (string, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(fd, &st); err != nil {
		return "", err
	}
	return networkNames[magicOf(&st)], nil
}
