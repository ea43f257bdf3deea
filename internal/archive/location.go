package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// EnvDir is the environment variable with the directory for the archive, if the archive is not in
// the directory of the files.
const EnvDir = "MPMETRICS_ARCHIVE_DIR"

// maxLocationBytes is more than any system takes as a path.
const maxLocationBytes = 64 << 10

// ErrElsewhere is returned when processes have different directories for the archive. Counts
// absorbed into one archive would be missing from the totals of the other.
var ErrElsewhere = errors.New("the archive is somewhere else")

// ErrAway is the ErrElsewhere of a directory that was chosen and cannot be used: a disk may not be
// mounted. A process needs no archive to count, and goes on.
var ErrAway = fmt.Errorf("%w, in a directory that cannot be used", ErrElsewhere)

// settleTime is how long Settle waits for the end of an absorption. Settle waits only the first
// time that a directory for the archive is configured.
const settleTime = 2 * time.Second

// Locate returns the directory of the archive for the files in sub. parent is the configured
// directory; if parent is empty, EnvDir or an earlier Settle decides, and sub is the default.
// Errors wrap ErrElsewhere if an earlier Settle chose another directory, and ErrAway if the directory
// cannot be used.
func Locate(sub, parent string, a directory.Access) (string, error) {
	want, err := configured(sub, parent)
	if err != nil {
		return "", err
	}
	location := filepath.Join(sub, layout.LocationName)
	settled, err := read(location)
	switch {
	case err != nil:
		return "", err
	case settled == "" && want == "":
		return sub, nil
	case settled == "":
		if _, err := os.Lstat(filepath.Join(sub, layout.ArchiveName)); err == nil {
			return "", fmt.Errorf("archive directory %s: %s has an archive already; move the archive while no process runs, or do not configure another directory: %w", want, sub, ErrElsewhere)
		}
		return want, nil
	case want != "" && want != settled && !same(want, settled):
		return "", fmt.Errorf("archive directory %s: %s says %s; configure the same directory, or remove both while no process runs: %w", want, location, settled, ErrElsewhere)
	}
	if _, err := directory.Find(filepath.Dir(settled), a); err != nil {
		// Only the text of the error: otherwise a caller would take the missing directory for a
		// directory that never existed.
		return "", fmt.Errorf("archive directory %s, from %s: %s; mount the directory, or remove the file with its path while no process runs: %w", settled, location, err.Error(), ErrAway)
	}
	return settled, nil
}

// Settle is Locate for a writer. Settle makes the directory, and writes its path to a file for
// processes without the configuration. Settle holds the lock of sub meanwhile, because an
// absorption may be about to publish the first archive.
func Settle(sub, parent string, a directory.Access) (string, error) {
	dir, err := Locate(sub, parent, a)
	if (err != nil || dir == sub || isSettled(sub)) && !errors.Is(err, layout.ErrDamaged) {
		return dir, err
	}
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		l, err := Lock(sub)
		if err == nil {
			defer l.Unlock()
			return SettleLocked(sub, parent, a)
		}
		if !errors.Is(err, ErrBusy) || time.Since(begin) > settleTime {
			return "", fmt.Errorf("archive directory: %w", err)
		}
	}
}

// SettleLocked is Settle for a caller with the lock of sub.
func SettleLocked(sub, parent string, a directory.Access) (string, error) {
	dir, err := Locate(sub, parent, a)
	if errors.Is(err, layout.ErrDamaged) {
		// A power cut may have left the file empty. A configured directory replaces its content.
		if dir, err = configured(sub, parent); err == nil && dir == "" {
			return Locate(sub, parent, a)
		}
	} else if err == nil && (dir == sub || isSettled(sub)) {
		return dir, nil
	}
	if err != nil {
		return "", err
	}
	if _, err := directory.Ensure(filepath.Dir(dir), a); err != nil {
		return "", fmt.Errorf("archive directory: %w", err)
	}
	if err := write(sub, dir); err != nil {
		return "", fmt.Errorf("archive directory: %w", err)
	}
	return dir, nil
}

func isSettled(sub string) bool {
	settled, err := read(filepath.Join(sub, layout.LocationName))
	return err == nil && settled != ""
}

// same reports whether two paths lead to the same directory.
func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// configured returns the configured directory, "" for none. A configured directory that is sub by
// another name counts as none.
func configured(sub, parent string) (string, error) {
	if parent == "" {
		parent = os.Getenv(EnvDir)
	}
	if parent == "" {
		return "", nil
	}
	parent, err := filepath.Abs(parent)
	if err != nil {
		return "", fmt.Errorf("archive directory %q: %w", parent, err)
	}
	dir := filepath.Join(parent, layout.Subdirectory)
	if same(dir, sub) {
		return "", nil
	}
	return dir, nil
}

func read(path string) (string, error) {
	f, st, err := directory.OpenFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	if st.Size > maxLocationBytes {
		return "", &fs.PathError{Op: "read", Path: path, Err: layout.ErrDamaged}
	}
	b := make([]byte, st.Size)
	if _, err := f.ReadAt(b, 0); err != nil {
		return "", err
	}
	dir, ok := strings.CutSuffix(string(b), "\n")
	if !ok || !filepath.IsAbs(dir) || filepath.Base(dir) != layout.Subdirectory {
		return "", &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%q is not a line with a path of a directory %s: %w", b, layout.Subdirectory, layout.ErrDamaged)}
	}
	return dir, nil
}

// write makes the file complete under another name first.
func write(sub, dir string) error {
	temporary := filepath.Join(sub, layout.ArchiveTemporary(layout.NewID()))
	f, _, err := directory.Create(temporary, directory.GroupWrites)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	if _, err = fmt.Fprintln(f, dir); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, filepath.Join(sub, layout.LocationName)); err != nil {
		return err
	}
	return directory.Sync(sub)
}
