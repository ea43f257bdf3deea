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

// EnvDir names the directory for the archive, if it is not that of the files.
const EnvDir = "MPMETRICS_ARCHIVE_DIR"

// maxLocationBytes is more than any system takes as a path.
const maxLocationBytes = 64 << 10

// ErrElsewhere is returned when processes do not agree about where the archive
// is: what one absorbs would be missing from the totals of another.
var ErrElsewhere = errors.New("the archive is somewhere else")

// settleTime is how long Settle waits for an absorption to end. It is the first
// time that a directory for the archive is configured.
const settleTime = 2 * time.Second

// Locate returns the directory of the archive for the files in sub. parent is
// the one that is configured for it, "": as EnvDir or an earlier Settle says,
// or sub. Errors wrap ErrElsewhere when the place is not the one that was settled,
// or is missing: a disk may not be mounted.
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
			return "", fmt.Errorf("archive directory %s: there is one in %s already; move it while no process runs, or do not configure another: %w", want, sub, ErrElsewhere)
		}
		return want, nil
	case want != "" && want != settled && !same(want, settled):
		return "", fmt.Errorf("archive directory %s: %s says %s; configure that, or remove both while no process runs: %w", want, location, settled, ErrElsewhere)
	}
	if _, err := directory.Find(filepath.Dir(settled), a); err != nil {
		// Only its text: to a caller, what is missing is no directory that was
		// never there.
		return "", fmt.Errorf("archive directory %s, where %s says it is: %s; mount it, or remove that file while no process runs: %w", settled, location, err.Error(), ErrElsewhere)
	}
	return settled, nil
}

// Settle is Locate for who will write: it makes the directory, and writes down
// where it is for processes that are not configured. That happens under the lock
// of sub, which SettleLocked's caller has: an absorption may be about to publish
// the first archive.
func Settle(sub, parent string, a directory.Access) (string, error) {
	dir, err := Locate(sub, parent, a)
	if (err != nil || dir == sub || isSettled(sub)) && !errors.Is(err, layout.ErrDamaged) {
		return dir, err
	}
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		unlock, err := Lock(sub)
		if err == nil {
			defer unlock()
			return SettleLocked(sub, parent, a)
		}
		if !errors.Is(err, ErrBusy) || time.Since(begin) > settleTime {
			return "", fmt.Errorf("archive directory: %w", err)
		}
	}
}

// SettleLocked is Settle for who has the lock of sub.
func SettleLocked(sub, parent string, a directory.Access) (string, error) {
	dir, err := Locate(sub, parent, a)
	if errors.Is(err, layout.ErrDamaged) {
		// A power cut may have left it empty. Who is configured knows better.
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

// same reports whether two paths are of one directory.
func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// configured returns the directory that is configured, "" for none: one that is
// sub by another name is none.
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
