// Package archive is the one file that holds what the dead have counted.
//
// It is of the format of a process's file and read by the same reader, but
// never changes: a compactor reads it, adds what it absorbs, writes the whole
// to a file of its own, syncs that, and renames it over the old one. Whoever
// has the old one open goes on reading the old one.
package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// Archive is one archive in memory. The zero value is not used: New returns
// what it is like where there is none yet.
type Archive struct {
	// Generation is another one each time an archive is written.
	Generation layout.ID

	// Epoch changes whenever ids leave the archive. Who read files of processes
	// before that must not take their ids for not absorbed. Zero where there is
	// no archive.
	Epoch uint32

	// BootID is the boot of the machine in which it was written.
	BootID string

	layout.State
	Ledger *merge.Ledger

	// Size of the file in bytes.
	Size int64

	file     *reader.File      // nil: not from a file, or closed
	together bool              // it comes back from a backup with all processes or not at all
	absorbed []layout.Absorbed // ascending by id
	open     []layout.ID       // ascending: processes that were not absorbed when it was written
}

// New returns an empty archive.
func New() *Archive { return &Archive{Ledger: merge.NewLedger()} }

// Exists reports whether the archive was read from a file.
func (a *Archive) Exists() bool { return a.Generation != layout.ID{} }

// Holds reports whether the values of a process are in the archive.
func (a *Archive) Holds(id layout.ID) bool {
	_, found := a.find(id)
	return found
}

// Follows reports whether it can have been made of another one: what that one says of
// processes that it holds, it says too, or has pruned.
func (a *Archive) Follows(b *Archive) bool {
	return !slices.ContainsFunc(b.absorbed, func(p layout.Absorbed) bool {
		i, found := a.find(p.ID)
		return found && a.absorbed[i] != p || !found && p.Start > a.Horizon
	})
}

func (a *Archive) find(id layout.ID) (int, bool) {
	return slices.BinarySearchFunc(a.absorbed, id, func(x layout.Absorbed, id layout.ID) int { return compare(x.ID, id) })
}

func compare(a, b layout.ID) int { return slices.Compare(a[:], b[:]) }

// Returned reports whether a process that the archive does not hold was
// absorbed long ago: it is older than one whose id was pruned, and was not
// there when that happened. Its file can only have come back from a backup.
func (a *Archive) Returned(id layout.ID, start int64) bool {
	if a.together || start > a.Horizon || a.Holds(id) {
		return false
	}
	return !a.Open(id)
}

// Open reports whether a process was there and not absorbed when the archive
// was written.
func (a *Archive) Open(id layout.ID) bool {
	_, found := slices.BinarySearchFunc(a.open, id, compare)
	return found
}

// Lost reports whether a process for which Open is true is not there any more.
func (a *Archive) Lost(there map[layout.ID]bool) bool {
	return slices.ContainsFunc(a.open, func(id layout.ID) bool { return !there[id] })
}

// SetOpen replaces the processes for which Open is true.
func (a *Archive) SetOpen(ids []layout.ID) {
	slices.SortFunc(ids, compare)
	a.open = ids
}

// Record notes that the values of processes are in the archive from now on.
func (a *Archive) Record(processes ...layout.Absorbed) {
	a.absorbed = append(a.absorbed, processes...)
	slices.SortFunc(a.absorbed, func(x, y layout.Absorbed) int { return compare(x.ID, y.ID) })
	a.absorbed = slices.CompactFunc(a.absorbed, func(x, y layout.Absorbed) bool { return x.ID == y.ID })
}

// Oldest returns when the process was absorbed whose id has been in the archive
// for longest, or 0.
func (a *Archive) Oldest() int64 {
	var oldest int64
	for _, p := range a.absorbed {
		if oldest == 0 || p.Time < oldest {
			oldest = p.Time
		}
	}
	return oldest
}

// Prune drops the ids of processes that were absorbed before a time and have no
// file any more, and raises the epoch.
func (a *Archive) Prune(before int64, listed func(layout.ID) bool) (ids int) {
	n := len(a.absorbed)
	a.absorbed = slices.DeleteFunc(a.absorbed, func(p layout.Absorbed) bool {
		if p.Time >= before || listed(p.ID) {
			return false
		}
		a.Horizon = max(a.Horizon, p.Start)
		return true
	})
	if len(a.absorbed) < n {
		a.Epoch++
	}
	return n - len(a.absorbed)
}

// AbsorbedIDs is how many processes the archive holds by id.
func (a *Archive) AbsorbedIDs() int { return len(a.absorbed) }

// Read reads the archive in a directory, or returns an empty one where there is
// none.
func Read(dir string) (*Archive, error) {
	a, err := Open(dir, nil)
	if err == nil {
		a.Close()
	}
	return a, err
}

// Open is Read for who will look again: known is returned when it is still the
// one in place. The archive keeps a descriptor until Close.
func Open(dir string, known *Archive) (*Archive, error) {
	if known.inPlace(dir) {
		return known, nil
	}
	f, err := open(dir)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return New(), nil
	}
	d := NewDecoder(f.Header())
	if err := f.Visit(d.Take); err != nil {
		f.Close()
		return nil, err
	}
	a, err := d.Archive()
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "read archive", Path: filepath.Join(dir, layout.ArchiveName), Err: err}
	}
	f.Unmap()
	a.file, a.Size = f, f.Size()
	return a, nil
}

// inPlace reports whether the archive is still the one that its name leads to.
// Archives never change, and the number of an inode is not used again while a
// descriptor holds it: a look at the name is enough.
func (a *Archive) inPlace(dir string) bool {
	if a == nil || a.file == nil {
		return false
	}
	same, err := a.file.SameAs(filepath.Join(dir, layout.ArchiveName))
	return err == nil && same
}

// Close gives the descriptor back.
func (a *Archive) Close() {
	if a.file != nil {
		a.file.Close()
		a.file = nil
	}
}

// Epoch returns the epoch of the archive in a directory, 0 where there is none.
// known is one that Open returned; nil: none.
func Epoch(dir string, known *Archive) (uint32, error) {
	if known.inPlace(dir) {
		return known.Epoch, nil
	}
	f, err := open(dir)
	if f == nil {
		return 0, err
	}
	defer f.Close()
	return f.Header().Generation, nil
}

// open opens the archive in a directory, nil if there never was one. One that
// was there and is missing is as bad as a damaged one.
func open(dir string) (*reader.File, error) {
	path := filepath.Join(dir, layout.ArchiveName)
	f, err := reader.OpenArchive(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if !isPublished(dir) {
		return nil, nil
	}
	// The first one may have come in between; the mark comes after it.
	if f, err = reader.OpenArchive(path); errors.Is(err, fs.ErrNotExist) {
		err = &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("it was removed: %w", layout.ErrDamaged)}
	}
	return f, err
}

// sortedDead returns the dead in a fixed order.
func (a *Archive) sortedDead() []*merge.Dead {
	dead := make([]*merge.Dead, 0, len(a.Ledger.Dead))
	for _, d := range a.Ledger.Dead {
		dead = append(dead, d)
	}
	slices.SortFunc(dead, func(x, y *merge.Dead) int { return cmp.Or(cmp.Compare(x.Start, y.Start), compare(x.ID, y.ID)) })
	return dead
}
