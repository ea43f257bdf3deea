//go:build linux || darwin || freebsd

package directory

import (
	"errors"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// File is an open published file. File is a bare descriptor: a scrape opens hundreds of files, and
// an os.File costs more than the system call.
type File struct {
	fd   int
	path string
}

// OpenFile opens a published file for reading. OpenFile follows no symbolic link, never waits on a
// FIFO, and refuses everything but a regular file of the right owner.
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

func statOf(st *unix.Stat_t) Stat {
	return Stat{Inode: st.Ino, Size: st.Size, Links: uint64(st.Nlink), Modified: st.Mtim.Nano(), Changed: st.Ctim.Nano()}
}

const notRegular = "it is not a regular file; remove it"

// refuseForeign refuses a file that cannot be opened because the file belongs to another user: no
// later try can succeed.
func refuseForeign(path string) error {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return nil
	}
	return checkOwner(path, &st)
}

// retry repeats an interrupted system call: the Go runtime sends many signals to its own threads.
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

// Name is the path of OpenFile.
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

// Stat looks at the file and refuses a file that OpenFile would refuse.
func (f *File) Stat() (Stat, error) { return stat(f.fd, f.path) }

// Size returns the length of the file in bytes.
func (f *File) Size() (int64, error) {
	st, err := f.Stat()
	return st.Size, err
}

// LookAt looks at the file at a path, and does not follow a symbolic link.
func LookAt(path string) (Stat, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return Stat{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return statOf(&st), nil
}

// SameAs reports whether a path leads to the open file, without a symbolic link. While the file is
// open no other file has its inode number.
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
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return Stat{}, refuse(path, notRegular)
	}
	if err := checkOwner(path, &st); err != nil {
		return Stat{}, err
	}
	return statOf(&st), nil
}

// Live reports whether the owner of the file lives: whether a process holds the exclusive lock
// that the kernel drops at death. The probe takes a shared lock and drops the lock at once. The
// probe cannot disturb an owner: a published file is locked already, and an owner never locks
// again.
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
