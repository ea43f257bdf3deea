//go:build !(linux || darwin || freebsd)

package directory

import (
	"errors"
	"io/fs"
	"os"
)

func supported(parent string) error {
	return &os.PathError{Op: "use metrics directory", Path: parent, Err: errors.ErrUnsupported}
}

// Descriptors is not known here.
func Descriptors() (limit, open int64) { return -1, -1 }

// OutOfDescriptors is not known here.
func OutOfDescriptors(error) bool { return false }

func check(sub string, _ Access) error { return supported(sub) }

func makeDirectory(path string, _ fs.FileMode) error { return supported(path) }

// File is an open published file. There are none here.
type File struct{}

// OpenFile is not supported here.
func OpenFile(path string) (*File, Stat, error) { return nil, Stat{}, supported(path) }

// FD is not supported here.
func (f *File) FD() int { return -1 }

// Name is not supported here.
func (f *File) Name() string { return "" }

// Close does nothing.
func (f *File) Close() {}

// ReadAt is not supported here.
func (f *File) ReadAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }

// Stat is not supported here.
func (f *File) Stat() (Stat, error) { return Stat{}, errors.ErrUnsupported }

// Size is not supported here.
func (f *File) Size() (int64, error) { return 0, errors.ErrUnsupported }

// Live is not supported here.
func (f *File) Live() (bool, error) { return false, errors.ErrUnsupported }

// SameAs is not supported here.
func (f *File) SameAs(string) (bool, error) { return false, errors.ErrUnsupported }

// LookAt is not supported here.
func LookAt(path string) (Stat, error) { return Stat{}, supported(path) }

// Create is not supported here.
func Create(path string, _ Readers) (*os.File, Stat, error) { return nil, Stat{}, supported(path) }

// StatFile is not supported here.
func StatFile(f *os.File) (Stat, error) { return Stat{}, errors.ErrUnsupported }

// Seal is not supported here.
func Seal(*os.File) error { return errors.ErrUnsupported }

// Overwrite is not supported here.
func Overwrite(path, _ string) error { return supported(path) }

// EnsureFile is not supported here.
func EnsureFile(path string, _ Readers) error { return supported(path) }
