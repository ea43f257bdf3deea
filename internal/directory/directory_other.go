//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package directory

import (
	"errors"
	"os"
)

func supported(parent string) error {
	return &os.PathError{Op: "use metrics directory", Path: parent, Err: errors.ErrUnsupported}
}

func check(sub string) error { return supported(sub) }

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

// Create is not supported here.
func Create(path string) (*os.File, Stat, error) { return nil, Stat{}, supported(path) }
