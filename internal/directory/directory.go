// Package directory is the shared directory as the file system sees it: where
// it is, who may use it, how its files are opened, and whether the owner of a
// file lives.
//
// The configured directory, the parent, may be anybody's: an emptyDir belongs
// to root and is open to all. Everything of ours is in its subdirectory
// "mpmetrics", which has to belong to the user of the process and to be closed
// to others. Symbolic links are followed on the way to the parent, and refused
// from there on.
package directory

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

const (
	directoryMode = 0o700

	// FileMode is the mode of every file, whatever the umask: another user
	// who could write to a file could make its owner fault.
	FileMode = 0o600
)

// ErrRefused is returned for a directory or file that exists but is not safe
// to use. The text says why and what to do.
var ErrRefused = errors.New("refused")

// Ensure makes the subdirectory of ours below parent, and parent itself when
// it is missing, and returns its path. It fails, wrapping ErrRefused, when the
// subdirectory exists and is unsafe.
func Ensure(parent string) (string, error) {
	if err := supported(parent); err != nil {
		return "", err
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("make metrics directory: %w", err)
	}
	sub := filepath.Join(parent, layout.Subdirectory)
	switch err := os.Mkdir(sub, directoryMode); {
	case err == nil:
		// Mkdir obeys the umask: one that takes the owner's bits away would
		// leave a directory that nobody can use.
		if err := os.Chmod(sub, directoryMode); err != nil {
			return "", fmt.Errorf("make metrics directory: %w", err)
		}
	case !errors.Is(err, fs.ErrExist):
		return "", fmt.Errorf("make metrics directory: %w", err)
	}
	return sub, check(sub)
}

// Find returns the path of the subdirectory below parent for a reader. A
// missing one is an error that wraps fs.ErrNotExist.
func Find(parent string) (string, error) {
	if err := supported(parent); err != nil {
		return "", err
	}
	sub := filepath.Join(parent, layout.Subdirectory)
	return sub, check(sub)
}

// Stat is what a reader has to know about an open file.
type Stat struct {
	Inode uint64
	Size  int64
	Links uint64 // 0 once the file was removed
}

// List returns all names in the subdirectory, in no order. A missing directory
// has none.
func List(sub string) ([]string, error) {
	d, err := os.Open(sub)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list metrics directory: %w", err)
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list metrics directory: %w", err)
	}
	return names, nil
}

// Sync makes a file, or the names in a directory, durable.
func Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

func refuse(path, format string, args ...any) error {
	return &fs.PathError{Op: "use", Path: path, Err: fmt.Errorf("%w: "+format, append([]any{ErrRefused}, args...)...)}
}
