package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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

// Locate returns the directory of the archive for the files in sub. parent is
// the one that is configured for it, "": as EnvDir or an earlier Settle says,
// or sub.
func Locate(sub, parent string) (string, error) {
	want, err := configured(parent)
	if err != nil {
		return "", err
	}
	settled, err := read(sub)
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
	case want != "" && want != settled:
		return "", fmt.Errorf("archive directory %s: %s says %s; configure that, or remove both while no process runs: %w",
			want, filepath.Join(sub, layout.LocationName), settled, ErrElsewhere)
	}
	return settled, nil
}

// Settle is Locate for who will write: it makes the directory, and writes down
// where it is for processes that are not configured.
func Settle(sub, parent string) (string, error) {
	dir, err := Locate(sub, parent)
	if err != nil || dir == sub {
		return dir, err
	}
	if _, err := directory.Ensure(filepath.Dir(dir)); err != nil {
		return "", fmt.Errorf("archive directory: %w", err)
	}
	if settled, err := read(sub); err != nil || settled == dir {
		return dir, err
	}
	if err := write(sub, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("archive directory: %w", err)
	}
	return Locate(sub, parent) // somebody may have been faster
}

// configured returns the directory that is configured, "" for none.
func configured(parent string) (string, error) {
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
	return filepath.Join(parent, layout.Subdirectory), nil
}

func read(sub string) (string, error) {
	path := filepath.Join(sub, layout.LocationName)
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
	if !ok || !filepath.IsAbs(dir) {
		return "", &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("%q is not a line with a path: %w", b, layout.ErrDamaged)}
	}
	return dir, nil
}

// write makes the file complete under another name first, and fails when there
// is one.
func write(sub, dir string) error {
	temporary := filepath.Join(sub, layout.ArchiveTemporary(layout.NewID()))
	f, _, err := directory.Create(temporary)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	_, err = fmt.Fprintln(f, dir)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Link(temporary, filepath.Join(sub, layout.LocationName))
}
