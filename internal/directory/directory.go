// Package directory is the shared directory as the file system sees it: its path, its users, how
// its files are opened, and whether the owner of a file lives.
//
// Any user may own the configured directory, the parent: an emptyDir belongs to root and is open
// to all. All files of mpmetrics are in its subdirectory "mpmetrics". The subdirectory has to
// belong to the user of the process and to be closed to all other users; see Access for groups.
// Symbolic links are followed on the way to the parent, and refused from there on.
//
// A file made by root in the directory of another user belongs to the other user: a command run by
// sudo must not leave files that only root can read.
package directory

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

const (
	// TemporaryAge is the age from which a temporary file without a lock is abandoned:
	// an owner locks its file some microseconds after it made the file.
	TemporaryAge = time.Minute

	// Crowded is how many processes a directory, or a server, may have before a process
	// that opens its store absorbs the dead: above the number of dead processes between
	// two scrapes of a busy service.
	Crowded = 256
)

// Modes do not depend on the umask. A published file of a process loses its write bits: its owner
// has the file open already, and no other program may truncate the file, even by mistake.
const (
	directoryMode       = 0o700
	sharedDirectoryMode = fs.ModeSetgid | 0o770

	fileMode        = 0o600
	groupReadsMode  = 0o640
	groupWritesMode = 0o660

	writeBits = 0o222
)

// ErrRefused is returned for an existing directory or file that is not safe to use. The text says
// why, and how to repair the directory or file.
var ErrRefused = errors.New("refused")

// Ensure makes the subdirectory below parent, and a missing parent too, and returns the path of
// the subdirectory. If the subdirectory exists and is unsafe, the error wraps ErrRefused.
func Ensure(parent string, a Access) (string, error) {
	if err := supported(parent); err != nil {
		return "", err
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("make metrics directory: %w", err)
	}
	return ensureSubdirectory(parent, a)
}

// EnsureAgain is Ensure for a process that has had its file in the subdirectory. EnsureAgain makes
// parent again, but nothing above parent: somebody who removes the directory of parent has done with
// the metrics, as the end of a test has with its temporary directory. The error wraps
// fs.ErrNotExist then.
func EnsureAgain(parent string, a Access) (string, error) {
	if err := supported(parent); err != nil {
		return "", err
	}
	if err := os.Mkdir(parent, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make metrics directory again: %w", err)
	}
	return ensureSubdirectory(parent, a)
}

func ensureSubdirectory(parent string, a Access) (string, error) {
	sub := filepath.Join(parent, layout.Subdirectory)
	mode := fs.FileMode(directoryMode)
	if a.GroupShared {
		mode = sharedDirectoryMode
	}
	if err := makeDirectory(sub, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("make metrics directory: %w", err)
	}
	return sub, check(sub, a)
}

// Find returns the path of the subdirectory below parent for a reader. The error for a missing
// subdirectory wraps fs.ErrNotExist.
func Find(parent string, a Access) (string, error) {
	if err := supported(parent); err != nil {
		return "", err
	}
	sub := filepath.Join(parent, layout.Subdirectory)
	return sub, check(sub, a)
}

// Make makes a directory inside the subdirectory, with the same access. The directory may exist.
func Make(path string) error {
	mode := fs.FileMode(directoryMode)
	if info, err := os.Stat(filepath.Dir(path)); err == nil && sharedMode(info.Mode()) {
		mode = sharedDirectoryMode
	}
	err := makeDirectory(path, mode)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := os.Lstat(path); err != nil || !info.IsDir() {
		return refuse(path, "it is no directory; remove it")
	}
	return nil
}

// sharedMode reports whether the mode of a directory opens it to its group.
func sharedMode(m fs.FileMode) bool { return m&(fs.ModeSetgid|0o777) == sharedDirectoryMode }

// Stat has the facts about an open file that a reader needs.
type Stat struct {
	Inode uint64
	Size  int64
	Links uint64 // 0 once the file was removed

	// Unix nanoseconds of the last write, and of the last write or change of attributes. Both are 0
	// on systems without support.
	Modified, Changed int64
}

// maxNames bounds a directory: a thousand times the files of a busy service, and
// some fifty megabytes of names. A variable for the tests.
var maxNames = 1 << 20

// List returns all names in the subdirectory, in no order. A missing directory has no names. If
// the directory has too many names, the error wraps layout.ErrLimit.
func List(sub string) ([]string, error) {
	entries, err := ListEntries(sub)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names, nil
}

// Entry is one name in a directory.
type Entry struct {
	Name string
	// Inode is the inode of the name, if the directory has the inode without another system call;
	// 0: unknown. Some file systems give the file another inode than the directory, so only equal
	// inodes prove anything.
	Inode uint64
}

// ListEntries is List with inodes.
func ListEntries(sub string) ([]Entry, error) {
	d, err := os.Open(sub)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list metrics directory: %w", err)
	}
	defer d.Close()
	var entries []Entry
	for read := newEntryReader(d); ; {
		var err error
		entries, err = read.appendTo(entries)
		switch {
		case errors.Is(err, io.EOF):
			return entries, nil
		case err != nil:
			return nil, fmt.Errorf("list metrics directory: %w", err)
		case len(entries) > maxNames:
			return nil, fmt.Errorf("list metrics directory: more than %d names in %s; remove foreign files: %w", maxNames, sub, layout.ErrLimit)
		}
	}
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

// Write writes a small new file. The file must not exist.
func Write(path, text string) error {
	f, _, err := Create(path, GroupWrites)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func refuse(path, format string, args ...any) error {
	return &fs.PathError{Op: "use", Path: path, Err: fmt.Errorf("%w: "+format, append([]any{ErrRefused}, args...)...)}
}
