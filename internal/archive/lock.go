package archive

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// ErrBusy is returned when another absorption is at work.
var ErrBusy = errors.New("another absorption is at work")

// Lock takes compact.lock in a directory, without waiting. Lock returns ErrBusy if another
// absorption has the lock.
func Lock(dir string) (unlock func(), err error) {
	path := filepath.Join(dir, layout.LockName)
	if err := directory.EnsureFile(path, directory.GroupWrites); err != nil {
		return nil, err
	}
	l := flock.New(path, flock.SetFlag(os.O_RDONLY)) // EnsureFile has made the file
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

// published is the content of compact.lock after the first archive: from then on a missing archive
// was removed, and is not just an archive not yet written.
const published = "an archive was published\n"

func isPublished(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, layout.LockName))
	return err == nil && info.Size() > 0
}

// markPublished notes that an archive exists. The caller has the lock.
func markPublished(dir string) error {
	if isPublished(dir) {
		return nil
	}
	path := filepath.Join(dir, layout.LockName)
	if err := directory.EnsureFile(path, directory.GroupWrites); err != nil {
		return err
	}
	return directory.Overwrite(path, published)
}
