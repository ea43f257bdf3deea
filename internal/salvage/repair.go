package salvage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
	"github.com/mpmetrics/mpmetrics/internal/reader"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

// Why a file is not repaired.
var (
	// ErrFine: the file is not damaged.
	ErrFine = errors.New("the file is not damaged")
	// ErrLives: the process will replace the file.
	ErrLives = errors.New("its process lives, and replaces the file within a second")
	// ErrAbsorbed: the counts of the process are in the archive.
	ErrAbsorbed = errors.New("its process was absorbed: its counts are in the archive")
	// ErrThere: the file in quarantine is no longer needed.
	ErrThere = errors.New("the directory has a good file of the same process")
	// ErrNotDamaged: the file is skipped for another reason.
	ErrNotDamaged = errors.New("the file is not damaged, but skipped for another reason")
	// ErrBoot: the file was written before the last start of the machine.
	ErrBoot = errors.New("the file was written before the last start of the machine, and totals have restarted since")
	// ErrForgotten: a reader would take the new file for a file from a backup.
	ErrForgotten = errors.New("the archive no longer knows whether the process was absorbed: later processes were absorbed more than an hour ago")
	// ErrRestarted: a reader would count nothing of the new file.
	ErrRestarted = errors.New("totals have restarted since the process began")
)

// Opts says how to repair.
type Opts struct {
	// ArchiveDir is the directory configured for the archive, if any.
	ArchiveDir string
	// Access says which directories are accepted.
	Access directory.Access
	// DryRun reports the readable series without writing.
	DryRun bool
}

// Repair saves the readable part of a damaged file of a dead process into a new file of the same
// name. The new file is counted and absorbed like any other. The damaged file is in quarantine
// afterwards.
//
//  1. Repair locks compact.lock: no absorption meanwhile.
//  2. Repair checks that the process is dead and not absorbed, and that the file is damaged.
//  3. Repair reads the readable part, and checks that readers would count the new file.
//  4. Repair writes the readable part to a new file under a temporary name.
//  5. Repair links the damaged file into quarantine, and renames the new file over the damaged
//     file.
//
// A kill before the rename changes nothing; the next absorption removes the temporary file.
func Repair(path string, o Opts) (*Found, error) {
	sub, err := subdirectory(path, o.Access)
	if err != nil {
		return nil, err
	}
	if !o.DryRun {
		lock, err := archive.Lock(sub) // (1)
		if err != nil {
			return nil, err
		}
		defer lock.Unlock()
	}
	a, err := needed(path, sub, o) // (2)
	if err != nil {
		return nil, &fs.PathError{Op: "repair", Path: path, Err: err}
	}
	found, err := Read(path) // (3)
	if err != nil {
		return nil, err
	}
	if err := counts(found.Header, a, sub); err != nil {
		return nil, &fs.PathError{Op: "repair", Path: path, Err: err}
	}
	if o.DryRun {
		return found, nil
	}
	return found, found.write(path, sub)
}

// subdirectory returns the mpmetrics directory of the file; the file may be in its quarantine.
func subdirectory(path string, a directory.Access) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, _, err := layout.ParseFileName(filepath.Base(path)); err != nil {
		return "", err
	}
	sub := filepath.Dir(path)
	if filepath.Base(sub) == layout.QuarantineName {
		sub = filepath.Dir(sub)
	}
	if filepath.Base(sub) != layout.Subdirectory {
		return "", &fs.PathError{Op: "repair", Path: path, Err: fmt.Errorf("the file is not in a directory %s, nor in its %s; move the file back", layout.Subdirectory, layout.QuarantineName)}
	}
	return directory.Find(filepath.Dir(sub), a)
}

// counts returns why readers would not count a new file with the header.
func counts(h layout.Header, a *archive.Archive, sub string) error {
	base := a.Base(&h)
	switch {
	case directory.OfEarlierBoot(sub, h.BootID):
		return ErrBoot
	case a.Returned(&h):
		return ErrForgotten
	case base != nil && base.Whole:
		return ErrRestarted
	}
	return nil
}

// needed returns the archive, or why there is nothing to repair.
func needed(path, sub string, o Opts) (*archive.Archive, error) {
	_, id, err := layout.ParseFileName(filepath.Base(path))
	if err != nil {
		return nil, err
	}
	f, _, err := directory.OpenFile(path)
	if err != nil {
		return nil, err
	}
	live, err := f.Live()
	f.Close()
	switch {
	case err != nil:
		return nil, err
	case live:
		return nil, ErrLives
	}
	where, err := archive.Locate(sub, o.ArchiveDir, o.Access)
	if err != nil {
		return nil, err
	}
	a, err := archive.Read(where)
	if err != nil {
		return nil, fmt.Errorf("cannot tell whether the process was absorbed: %w", err)
	}
	switch {
	case a.PutAside(id):
		return nil, ErrRestarted
	case a.Holds(id):
		return nil, ErrAbsorbed
	}
	if there := filepath.Join(sub, filepath.Base(path)); filepath.Dir(path) != sub && read(there) == nil {
		return nil, ErrThere
	}
	switch err := read(path); scan.ReasonOf(err) {
	case scan.Damaged, scan.Foreign:
		return a, nil
	default:
		if err == nil {
			return nil, ErrFine
		}
		return nil, fmt.Errorf("%w: %w", ErrNotDamaged, err)
	}
}

// read reads a file like any reader.
func read(path string) error {
	return scan.Prove(func() error {
		f, err := reader.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = f.Load()
		return err
	})
}

// write makes the new file, and renames the new file over the damaged file.
func (s *Found) write(path, sub string) error {
	p, err := ownerfile.Prepare(sub, s.Header) // (4)
	if err != nil {
		return err
	}
	defer p.Close()
	numbers := make([]uint32, len(s.Families))
	for i, f := range s.Families {
		err := grown(p, func() (ok bool) {
			numbers[i], ok = p.AppendFamily(f)
			return ok
		})
		if err != nil {
			return err
		}
	}
	for _, x := range s.Series {
		use := func(cells []atomic.Uint64) {
			for i, v := range x.Cells {
				cells[i].Store(v)
			}
		}
		err := grown(p, func() (ok bool) {
			if x.Share {
				_, ok = p.AppendDeleted(numbers[x.Family], x.Created, x.Values, len(x.Cells), use)
				return ok
			}
			return p.AppendSeries(numbers[x.Family], x.Created, x.Values, len(x.Cells), use)
		})
		if err != nil {
			return err
		}
	}
	if err := p.Mirror(ownerfile.Mirrored{Families: s.Mirrored, Exemplars: s.Exemplars}); err != nil {
		return err
	}
	if filepath.Dir(path) == sub { // (5)
		if err := quarantine(path, sub); err != nil {
			return err
		}
	}
	return p.Publish()
}

// grown appends, and grows the file as often as needed.
func grown(p *ownerfile.File, appends func() bool) error {
	// Once for each of the two kinds of slabs, and for a record longer than a new slab.
	for range 4 {
		if appends() {
			return nil
		}
		if err := p.Grow(); err != nil {
			return err
		}
	}
	return errors.New("a record does not fit")
}

// quarantine links the damaged file into quarantine, with a text file about the reason. The
// damaged file keeps its name in the directory until the new file takes the name.
func quarantine(path, sub string) error {
	dir := filepath.Join(sub, layout.QuarantineName)
	if err := directory.Make(dir); err != nil {
		return err
	}
	name := filepath.Base(path)
	if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
		name += "-" + layout.NewID().String()
	}
	if err := os.Link(path, filepath.Join(dir, name)); err != nil {
		return err
	}
	text := time.Now().UTC().Format(time.RFC3339) + "\nrepaired: the readable part is in a new file of the same name\n"
	// Without the text, the file in quarantine is still useful.
	_ = directory.Write(filepath.Join(dir, name+".txt"), text)
	return nil
}
