// Package archive is the file with the counts of dead processes.
//
// The archive has the format of a process's file and the same reader, but never changes. A
// compactor replaces the archive:
//
//  1. The compactor reads the archive and adds the values of dead processes.
//  2. The compactor writes the whole to a new file, and syncs the new file.
//  3. The compactor renames the new file over the archive.
//
// A reader with the old archive open goes on reading the old archive.
package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// Archive is one archive in memory. Do not use the zero value: New returns an empty archive.
type Archive struct {
	// Generation is a new id at each writing of an archive.
	Generation layout.ID

	// Epoch changes whenever ids leave the archive. A reader with files from before the change must
	// not take a missing id for a process without absorption. Zero without an archive.
	Epoch uint32

	// BootID is the boot of the machine at the writing.
	BootID string

	layout.State
	Uptimes layout.Uptimes
	Ledger  *merge.Ledger

	// Now is the time of the last look at the archive, in Unix nanoseconds. 0: not known.
	Now int64

	// Boot is the boot of the machine at the last look. Empty: not known.
	Boot string

	// Size of the file in bytes.
	Size int64

	file     *reader.File      // nil: not from a file, or closed
	modified int64             // modification time of file before the reading
	together bool              // of a server, see Returned
	absorbed []layout.Absorbed // ascending by id
	open     []layout.ID       // ascending: processes without an absorption at the writing
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

// PutAside reports whether Holds is true only because the file of the process has to go to
// quarantine: the start of the record is 0. The archive has no values of such a process.
func (a *Archive) PutAside(id layout.ID) bool {
	i, found := a.find(id)
	return found && a.absorbed[i].Start == 0
}

// Follows reports whether a can be a later state of b: for each process in b, a has the same
// record, or has pruned the id.
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

// Returned reports whether a process outside the archive was absorbed long ago: the process is
// older than a process with a pruned id, and had no file at the pruning. The file of such a
// process can only come from a backup. A horizon in the future comes from a wrong clock, and
// Returned does not believe the horizon. On a server Returned is always false, because a restored
// snapshot restores the partitions together with the archive.
func (a *Archive) Returned(h *layout.Header) bool {
	if a.future(a.Horizon) {
		return a.pruned(h, math.MinInt64)
	}
	return a.Pruned(h)
}

// Pruned reports whether a process without a file was absorbed long ago. Pruned believes a horizon in
// the future, because a horizon is never below the start of a process with a pruned id.
func (a *Archive) Pruned(h *layout.Header) bool { return a.pruned(h, a.Horizon) }

func (a *Archive) pruned(h *layout.Header, horizon int64) bool {
	return !a.together && a.before(h, horizon, a.Uptimes.Horizon) && !a.Holds(h.ID) && !a.Open(h.ID)
}

// before reports whether a process began before a time, given by the wall clock and by the uptime.
// Somebody may have set the wall clock, so the uptime decides for a process of the boot of now. An
// archive of an earlier boot is older than such a process.
func (a *Archive) before(h *layout.Header, wall, uptime int64) bool {
	began, known := boot.Began(h.BootID, h.Start)
	if !known || a.Boot == "" || boot.Differ(h.BootID, a.Boot) {
		return h.Start <= wall
	}
	return uptime != 0 && int64(began) <= uptime && !boot.Differ(a.BootID, a.Boot)
}

// Enter makes a boot of the machine the boot of the next writing.
func (a *Archive) Enter(id string) {
	if boot.Differ(a.BootID, id) {
		a.Uptimes = layout.Uptimes{}
	}
	a.BootID, a.Boot = id, id
}

// future reports whether a time is known to lie in the future.
func (a *Archive) future(t int64) bool { return a.Now != 0 && t > a.Now }

// LowerHorizon takes a horizon in the future back to a time. The caller has seen that no process is
// waiting for an absorption, and that the clock is right.
func (a *Archive) LowerHorizon(to int64) (lowered bool) {
	if !a.future(a.Horizon) {
		return false
	}
	a.Horizon = to
	return true
}

// Open reports whether a process was there and not absorbed when the archive
// was written.
func (a *Archive) Open(id layout.ID) bool {
	_, found := slices.BinarySearchFunc(a.open, id, compare)
	return found
}

// Lost reports whether the file of a process with Open true is missing.
func (a *Archive) Lost(there map[layout.ID]bool) bool {
	return slices.ContainsFunc(a.open, func(id layout.ID) bool { return !there[id] })
}

// Base returns the base of a process, nil if the totals have all counts of the process. A process
// that began before totals restarted, and had no file then, has counts that earlier totals had:
// somebody removed the file together with the archive, and the process makes the file again.
func (a *Archive) Base(h *layout.Header) *merge.Base {
	b := a.Ledger.Bases[h.ID]
	if b == nil && a.Ledger.Bases[layout.ID{}] != nil && a.before(h, a.Begun, a.Uptimes.Begun) {
		b = a.Ledger.Bases[layout.ID{}]
	}
	return b
}

// SetOpen replaces the processes with Open true.
func (a *Archive) SetOpen(ids []layout.ID) {
	slices.SortFunc(ids, compare)
	a.open = ids
}

// Record notes processes with values in the archive.
func (a *Archive) Record(processes ...layout.Absorbed) {
	a.absorbed = append(a.absorbed, processes...)
	slices.SortFunc(a.absorbed, func(x, y layout.Absorbed) int { return compare(x.ID, y.ID) })
	a.absorbed = slices.CompactFunc(a.absorbed, func(x, y layout.Absorbed) bool { return x.ID == y.ID })
}

// Oldest returns the time of the oldest absorption with an id in the archive, or 0.
func (a *Archive) Oldest() int64 {
	var oldest int64
	for _, p := range a.absorbed {
		if oldest == 0 || p.Time < oldest {
			oldest = p.Time
		}
	}
	return oldest
}

// Prune drops the ids of processes absorbed before a time and without a file, and raises the
// epoch. The id of a process with a start in the future stays: the horizon would exclude all
// processes until then. All processes that may be dropped began before the uptime, in nanoseconds.
func (a *Archive) Prune(before, uptime int64, listed func(layout.ID) bool) (ids int) {
	n := len(a.absorbed)
	a.absorbed = slices.DeleteFunc(a.absorbed, func(p layout.Absorbed) bool {
		if p.Time >= before || listed(p.ID) || a.future(p.Start) {
			return false
		}
		a.Horizon = max(a.Horizon, p.Start)
		return true
	})
	if len(a.absorbed) < n {
		a.Uptimes.Horizon = max(a.Uptimes.Horizon, uptime)
		a.Epoch++
	}
	return n - len(a.absorbed)
}

// AbsorbedIDs is how many processes the archive holds by id.
func (a *Archive) AbsorbedIDs() int { return len(a.absorbed) }

// Read reads the archive in a directory. Read returns an empty archive if the directory never had
// an archive.
func Read(dir string) (*Archive, error) {
	a, err := Open(dir, nil)
	if err == nil {
		a.Close()
	}
	return a, err
}

// Open is Read for repeated reading: Open returns known if known is still current. The archive
// keeps a descriptor until Close.
func Open(dir string, known *Archive) (a *Archive, err error) {
	defer func() {
		if err == nil {
			a.Now, a.Boot = time.Now().UnixNano(), boot.ID()
		}
	}()
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
	path := filepath.Join(dir, layout.ArchiveName)
	st, err := directory.LookAt(path)
	if err != nil {
		f.Close()
		return nil, err // replaced since
	}
	d := NewDecoder(f.Header())
	if err := f.Visit(d.Take); err != nil {
		f.Close()
		return nil, err
	}
	a, err = d.Archive()
	if err != nil {
		f.Close()
		return nil, &fs.PathError{Op: "read archive", Path: path, Err: err}
	}
	f.Unmap()
	a.file, a.Size, a.modified = f, f.Size(), st.Modified
	return a, nil
}

// inPlace reports whether the archive's name still leads to the same file, and nobody has written to
// the file. Archives never change, and the number of an inode is not reused while a descriptor holds
// the inode: a look at the name is enough.
func (a *Archive) inPlace(dir string) bool {
	if a == nil || a.file == nil {
		return false
	}
	path := filepath.Join(dir, layout.ArchiveName)
	same, err := a.file.SameAs(path)
	if err != nil || !same {
		return false
	}
	st, err := directory.LookAt(path)
	return err == nil && st.Modified == a.modified
}

// Close gives the descriptor back.
func (a *Archive) Close() {
	if a.file != nil {
		a.file.Close()
		a.file = nil
	}
}

// Epoch returns the epoch of the archive in a directory, 0 without an archive. known is an archive
// from Open, or nil.
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

// open opens the archive in a directory, nil if the directory never had an archive. A missing
// archive of earlier times is an error, like a damaged archive.
func open(dir string) (*reader.File, error) {
	path := filepath.Join(dir, layout.ArchiveName)
	f, err := reader.OpenArchive(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if !isPublished(dir) {
		return nil, nil
	}
	// A compactor may have published the first archive in between: the mark comes after the
	// archive.
	if f, err = reader.OpenArchive(path); errors.Is(err, fs.ErrNotExist) {
		err = &fs.PathError{Op: "open", Path: path, Err: fmt.Errorf("the archive was removed: %w", layout.ErrDamaged)}
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
