package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// ErrBusy is returned when another absorption is at work.
var ErrBusy = errors.New("another absorption is at work")

// Lock takes compact.lock in a directory, without waiting: ErrBusy if another
// has it.
func Lock(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, layout.LockName)
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		// To open a FIFO would wait for ever, and a symbolic link leads elsewhere.
		return nil, &fs.PathError{Op: "lock", Path: path, Err: fmt.Errorf("it is not a regular file; remove it: %w", directory.ErrRefused)}
	}
	l := flock.New(path, flock.SetPermissions(directory.FileMode))
	locked, err := l.TryLock()
	if err == nil && !locked {
		err = ErrBusy
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return func() { l.Close() }, nil
}

// published is what compact.lock holds once there was an archive beside it: one
// that is missing then was removed, and did not just never exist.
const published = "an archive was published\n"

func isPublished(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, layout.LockName))
	return err == nil && info.Size() > 0
}

// markPublished notes that there is an archive. The caller has the lock.
func markPublished(dir string) error {
	if isPublished(dir) {
		return nil
	}
	return os.WriteFile(filepath.Join(dir, layout.LockName), []byte(published), directory.FileMode)
}
