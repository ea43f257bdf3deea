//go:build linux || darwin || freebsd || netbsd || openbsd

package directory

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

func supported(string) error { return nil }

// check looks at the descriptor it opened, not at the path: what it has
// checked cannot be swapped behind its back.
func check(sub string) error {
	fd, err := unix.Open(sub, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return refuse(sub, "it is a symbolic link or no directory; remove it")
	}
	if err != nil {
		return &fs.PathError{Op: "open", Path: sub, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: sub, Err: err}
	}
	if int(st.Uid) != os.Geteuid() {
		return refuse(sub, "it belongs to uid %d and this process runs as %d; use another directory, or run all processes as one user", st.Uid, os.Geteuid())
	}
	if perm := st.Mode & 0o777; perm&0o077 != 0 {
		return refuse(sub, "mode %#o lets others in; chmod 0700 it, or remove it and let mpmetrics make it", perm)
	}
	return nil
}

// File is an open published file. It is a bare descriptor: a scrape opens
// hundreds, and an os.File costs more than the system call.
type File struct {
	fd   int
	path string
}

// OpenFile opens a published file for reading. It follows no symbolic link,
// never waits on a FIFO, and refuses everything but a regular file of ours.
func OpenFile(path string) (*File, Stat, error) {
	fd, err := retry(func() (int, error) {
		return unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	})
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, Stat{}, refuse(path, "it is a symbolic link; remove it")
	case errors.Is(err, unix.ENXIO): // a socket
		return nil, Stat{}, refuse(path, notRegular)
	case errors.Is(err, unix.EACCES):
		if err := refuseForeign(path); err != nil {
			return nil, Stat{}, err
		}
	}
	if err != nil {
		return nil, Stat{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	f := &File{fd: fd, path: path}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, Stat{}, err
	}
	return f, st, nil
}

const (
	notRegular = "it is not a regular file; remove it"
	foreign    = "it belongs to uid %d and this process runs as %d; remove it"
)

// refuseForeign refuses a file that cannot be opened because it is another
// user's. That it is, no next try changes.
func refuseForeign(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil || int(st.Uid) == os.Geteuid() {
		return nil
	}
	return refuse(path, foreign, st.Uid, os.Geteuid())
}

// retry repeats a system call that a signal interrupted: the Go runtime sends
// itself many.
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// FD is the descriptor.
func (f *File) FD() int { return f.fd }

// Name is the path that the file was opened by.
func (f *File) Name() string { return f.path }

// Close gives the descriptor back.
func (f *File) Close() { unix.Close(f.fd) }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(b []byte, offset int64) (int, error) {
	read := 0
	for read < len(b) {
		n, err := retry(func() (int, error) { return unix.Pread(f.fd, b[read:], offset+int64(read)) })
		if err != nil {
			return read, &fs.PathError{Op: "read", Path: f.path, Err: err}
		}
		if n == 0 {
			return read, io.EOF
		}
		read += n
	}
	return read, nil
}

// Stat looks at the file and refuses one that is not as OpenFile wants it.
func (f *File) Stat() (Stat, error) { return stat(f.fd, f.path) }

// Size returns the length of the file in bytes.
func (f *File) Size() (int64, error) {
	st, err := f.Stat()
	return st.Size, err
}

// SameAs reports whether a path leads to the open file, by itself and not through
// a symbolic link. While the file is open no other has its inode number.
func (f *File) SameAs(path string) (bool, error) {
	var open, named unix.Stat_t
	if err := unix.Fstat(f.fd, &open); err != nil {
		return false, &fs.PathError{Op: "stat", Path: f.path, Err: err}
	}
	if err := unix.Lstat(path, &named); err != nil {
		return false, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return open.Ino == named.Ino && open.Dev == named.Dev, nil
}

func stat(fd int, path string) (Stat, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Stat{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return Stat{}, refuse(path, notRegular)
	case int(st.Uid) != os.Geteuid():
		return Stat{}, refuse(path, foreign, st.Uid, os.Geteuid())
	}
	return Stat{Inode: st.Ino, Size: st.Size, Links: uint64(st.Nlink)}, nil
}

// Live reports whether a process owns the file: whether somebody holds the
// exclusive lock that the kernel drops at death. The shared lock of this
// probe is given back at once and cannot disturb an owner: a published file
// is locked already, and an owner never locks again.
func (f *File) Live() (bool, error) {
	flock := func(how int) error {
		_, err := retry(func() (int, error) { return 0, unix.Flock(f.fd, how) })
		return err
	}
	err := flock(unix.LOCK_SH | unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return true, nil
	}
	if err == nil {
		err = flock(unix.LOCK_UN)
	}
	if err != nil {
		return false, &fs.PathError{Op: "probe lock", Path: f.path, Err: err}
	}
	return false, nil
}

// Create makes a new file that is nobody else's, with FileMode.
func Create(path string) (*os.File, Stat, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, FileMode)
	if err != nil {
		return nil, Stat{}, err
	}
	st, err := stat(int(f.Fd()), path)
	if err == nil {
		err = f.Chmod(FileMode) // the umask may have taken the owner's bits
	}
	if err != nil {
		f.Close()
		os.Remove(path)
		return nil, Stat{}, err
	}
	return f, st, nil
}
