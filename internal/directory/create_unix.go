//go:build linux || darwin || freebsd

package directory

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// makeDirectory makes a directory with a mode, whatever the umask. The error for an existing
// directory wraps fs.ErrExist.
func makeDirectory(path string, mode fs.FileMode) error {
	if err := os.Mkdir(path, mode.Perm()); err != nil {
		return err
	}
	d, err := os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrPermission) {
		// The umask has removed even the right to open the directory.
		if err = os.Chmod(path, directoryMode); err == nil {
			d, err = os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		}
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if err := give(d, filepath.Dir(path)); err != nil {
		return err
	}
	return d.Chmod(mode)
}

// give gives a file made by root to the owner of its directory. A directory owned by root or open
// to every user has no such owner.
func give(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	if st.Uid == 0 || st.Mode&0o002 != 0 {
		return nil
	}
	return f.Chown(int(st.Uid), int(st.Gid))
}

// Create makes a new file, and never opens an existing file. The mode does not depend on the
// umask.
func Create(path string, who Readers) (*os.File, Stat, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, fileMode)
	if err != nil {
		return nil, Stat{}, err
	}
	st, err := stat(int(f.Fd()), path)
	if err == nil {
		err = keepBlocks(f)
	}
	if err == nil {
		err = give(f, filepath.Dir(path))
	}
	if err == nil {
		err = f.Chmod(modeFor(filepath.Dir(path), who)) // the umask may have taken the owner's bits
	}
	if err != nil {
		f.Close()
		os.Remove(path)
		return nil, Stat{}, err
	}
	return f, st, nil
}

func modeFor(dir string, who Readers) fs.FileMode {
	var st unix.Stat_t
	switch err := unix.Stat(dir, &st); {
	case err != nil || !shared(&st):
		return fileMode
	case who == GroupWrites:
		return groupWritesMode
	}
	return groupReadsMode
}

// StatFile is File.Stat for a file of Create.
func StatFile(f *os.File) (Stat, error) { return stat(int(f.Fd()), f.Name()) }

// Seal removes the right to write to a file. A program with an open descriptor can still write.
func Seal(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return f.Chmod(info.Mode().Perm() &^ writeBits)
}

// Overwrite writes a text at the beginning of an existing file.
func Overwrite(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// EnsureFile makes an empty file if the file is missing. An existing file must be a regular file
// of the right owner.
func EnsureFile(path string, who Readers) error {
	f, _, err := Create(path, who)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		// To open a FIFO would wait for ever, and a symbolic link leads elsewhere.
		return refuse(path, notRegular)
	}
	if err := checkOwner(path, &st); err != nil {
		return err
	}
	if int(st.Uid) == os.Geteuid() && st.Mode&fileMode != fileMode {
		// The maker of the file was killed before the chmod that undoes the umask.
		return os.Chmod(path, modeFor(filepath.Dir(path), who))
	}
	return nil
}
