package archive

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// ErrBusy is returned when another absorption is at work.
var ErrBusy = errors.New("another absorption is at work")

// Locked is a file with an exclusive lock. The lock belongs to the file, not to the path: another
// process may remove the file and lock a new file of the same name.
type Locked struct {
	file *directory.File
	lock *flock.Flock
}

// Lock takes compact.lock in a directory, without waiting. Lock returns ErrBusy if another
// absorption has the lock.
func Lock(dir string) (*Locked, error) {
	path := filepath.Join(dir, layout.LockName)
	if err := directory.EnsureFile(path, directory.GroupWrites); err != nil {
		return nil, err
	}
	return lock(path)
}

// Hold locks the archive in a directory, so that no other absorption replaces the archive, not even
// an absorption with another compact.lock. Without an archive Hold returns nil.
func Hold(dir string) (*Locked, error) {
	l, err := lock(filepath.Join(dir, layout.ArchiveName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return l, err
}

func lock(path string) (*Locked, error) {
	f, _, err := directory.OpenFile(path)
	if err != nil {
		return nil, err
	}
	l := &Locked{f, flock.New(path, flock.SetFlag(os.O_RDONLY))}
	locked, err := l.lock.TryLock()
	if err == nil && locked {
		// flock opens the path once more.
		locked, err = l.InPlace()
	}
	if err == nil && !locked {
		err = ErrBusy
	}
	if err != nil {
		l.Unlock()
		return nil, err
	}
	return l, nil
}

// Unlock drops the lock.
func (l *Locked) Unlock() {
	if l != nil {
		l.lock.Close()
		l.file.Close()
	}
}

// LetGo drops the lock of a file with several names, and keeps the file open: under another name the
// file may be the file of a process, which the lock would make look alive.
func (l *Locked) LetGo() error {
	if l == nil {
		return nil
	}
	st, err := l.file.Stat()
	if err != nil || st.Links < 2 {
		return err
	}
	return l.lock.Unlock()
}

// Name is the path of the locked file.
func (l *Locked) Name() string { return l.file.Name() }

// InPlace reports whether the path still leads to the locked file.
func (l *Locked) InPlace() (bool, error) {
	same, err := l.file.SameAs(l.file.Name())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return same, err
}

// published is the content of compact.lock after the first archive: from then on a missing archive
// was removed, and is not just an archive not yet written.
const published = "an archive was published\n"

func isPublished(dir string) bool {
	info, err := os.Lstat(filepath.Join(dir, layout.LockName))
	return err == nil && info.Size() > 0
}

// Published reports whether an absorption has noted that an archive exists. A foreign file at the path
// of compact.lock, which may be a link to the file of a process, says nothing.
func Published(dir string) bool {
	_, ours := readReading(filepath.Join(dir, layout.LockName))
	return ours
}

// MarkPublished notes that an archive exists. The caller has the lock.
func MarkPublished(dir string) error {
	if isPublished(dir) {
		return nil
	}
	path := filepath.Join(dir, layout.LockName)
	if err := directory.EnsureFile(path, directory.GroupWrites); err != nil {
		return err
	}
	return directory.Overwrite(path, published)
}
