// Package reader reads a process's file without a lock and without writing,
// while its owner counts.
//
// What bbolt holds (the header, the list of slabs) is read as a snapshot:
//
//  1. read both meta pages; the valid one with the higher transaction wins
//  2. read the pages that are reachable from it, slabs apart
//  3. read both meta pages again, and accept if and only if both are as before
//
// bbolt writes the pages of a transaction before its meta page, and uses the
// pages of an older transaction again only two transactions later: while both
// metas stand still, nothing that was read can have been overwritten. To accept
// when only the winner stands still is not enough: the other slot may be half
// written, and hide that two transactions have passed.
//
// The log and the cells need no snapshot. The log is read on from where the
// last reading stopped; cells are loaded as atomic words.
package reader

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/table"
)

var (
	// ErrBusy is returned when the file changed under each of a bounded number
	// of tries. The next try will probably do.
	ErrBusy = errors.New("file changed under every try to read it")

	// ErrReplaced is returned when the path leads to another file than before.
	ErrReplaced = errors.New("file was replaced")

	// ErrCopy is returned for a file that is a copy of another: counting it
	// would count that one twice.
	ErrCopy = errors.New("file is a copy")
)

// maxFileBytes bounds a file: room for the most series, each a histogram with the
// usual buckets. A file that is longer than that is nobody's, or sparse.
const maxFileBytes = 1 << 30

// Entry is one run of values: a series.
type Entry = table.Entry

// File is one process's file and what is known of it so far. It is for one
// goroutine at a time.
type File struct {
	path  string
	inode uint64
	f     *directory.File // nil while the descriptor is given back
	size  int64

	refreshed time.Time // when the last reading began

	accepted metas          // of the snapshot that header and slabs are from
	metas    *mapped.Region // both meta pages, once somebody looked twice
	header   *layout.Header
	slabs    map[uint32]*slab

	table   table.Table
	log     cursor         // where the log goes on
	numbers map[uint32]int // family number to index in Families
	series  []seriesRef    // by ascending number
	used    int            // cells of all entries that are not gone
	cells   int            // of all slabs: no cell belongs to two series at a time

	exemplars map[string][]mirror.Exemplar // by name of the family
	encoded   map[string][]byte            // as they stand in the file

	runs   []run
	groups []group
	left   int      // entries that are Gone, and that runs and groups leave out
	values []uint64 // as last loaded
	final  bool

	visit func(layout.Record) error // of an archive, while Visit runs
}

// seriesRef finds the first entry of a series by its number.
type seriesRef struct {
	number uint32
	entry  int
}

// Open opens a published file and reads what it says so far. Errors wrap those
// of this package, of layout and of directory, or come from the system.
func Open(path string) (*File, error) {
	r, err := openHeader(path)
	if err != nil {
		return nil, err
	}
	err = r.checkName()
	if err == nil {
		err = r.Refresh()
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// OpenArchive opens an archive and reads its header. Visit reads the rest.
func OpenArchive(path string) (*File, error) {
	r, err := openHeader(path)
	if err != nil {
		return nil, err
	}
	if r.header.Kind != layout.ArchiveFile {
		r.Close()
		return nil, &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("file of a process in the place of the archive: %w", layout.ErrDamaged)}
	}
	return r, nil
}

// ReadHeader reads the header of a published file.
func ReadHeader(path string) (*layout.Header, error) {
	r, err := openHeader(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.header, nil
}

// openHeader opens a file and reads what bbolt holds.
func openHeader(path string) (*File, error) {
	r := &File{path: path, slabs: map[uint32]*slab{}, numbers: map[uint32]int{}}
	if err := r.Reopen(0); err != nil {
		return nil, err
	}
	if err := r.snapshot(); err != nil {
		r.Close()
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return r, nil
}

// Visit reads an archive from its beginning, and calls visit with each record.
func (r *File) Visit(visit func(layout.Record) error) error {
	r.visit = visit
	if err := r.readLog(); err != nil {
		return &fs.PathError{Op: "read archive", Path: r.path, Err: err}
	}
	return nil
}

// checkName refuses a second name of a file, which would count it twice: a
// hard link has the inode that the header says.
func (r *File) checkName() error {
	if r.header.Kind != layout.ProcessFile {
		return &fs.PathError{Op: "read", Path: r.path, Err: fmt.Errorf("an archive in the place of a process's file: %w", ErrCopy)}
	}
	pid, id, err := layout.ParseFileName(filepath.Base(r.path))
	if err == nil && (id != r.header.ID || pid != int(r.header.PID)) {
		return &fs.PathError{Op: "read", Path: r.path, Err: fmt.Errorf("its name is %s: %w", layout.FileName(int(r.header.PID), r.header.ID), ErrCopy)}
	}
	return nil
}

// Reopen opens the descriptor again, if it was given back, and otherwise looks
// whether the path still leads to it. A file that was replaced or removed is
// ErrReplaced or wraps fs.ErrNotExist: close this File and open a new one.
//
// listed is the inode that the directory was seen to have under this name, 0 if it
// was not: when it is ours nothing has to be looked at. No other file gets the number
// while this one is open.
func (r *File) Reopen(listed uint64) error {
	if r.f != nil {
		if listed == r.inode {
			return nil
		}
		// By the name: an owner whose file was moved away has made another one.
		st, err := directory.LookAt(r.path)
		if err != nil {
			return err
		}
		if st.Inode != r.inode {
			return &fs.PathError{Op: "read", Path: r.path, Err: ErrReplaced}
		}
		r.size = st.Size
		return nil
	}
	f, st, err := directory.OpenFile(r.path)
	if err != nil {
		return err
	}
	if st.Size > maxFileBytes {
		f.Close()
		return &fs.PathError{Op: "read", Path: r.path, Err: fmt.Errorf("%d bytes, more than %d: %w", st.Size, int64(maxFileBytes), layout.ErrLimit)}
	}
	if r.inode != 0 && r.inode != st.Inode {
		f.Close()
		return &fs.PathError{Op: "read", Path: r.path, Err: ErrReplaced}
	}
	r.f, r.inode, r.size = f, st.Inode, st.Size
	return nil
}

// Rest gives the descriptor back until Reopen. Mappings stay.
func (r *File) Rest() {
	if r.f != nil {
		r.f.Close()
		r.f = nil
	}
}

// Resting reports whether the descriptor is given back.
func (r *File) Resting() bool { return r.f == nil }

// Unmap gives the mappings back, not the descriptor. The log and the cells cannot
// be read any more.
func (r *File) Unmap() {
	for _, s := range r.slabs {
		s.unmap()
	}
	r.slabs, r.log, r.runs, r.groups = nil, cursor{}, nil, nil
	r.unmapMetas()
}

// Close gives everything back.
func (r *File) Close() {
	r.Rest()
	r.Unmap()
}

// SameAs reports whether a path leads to the open file.
func (r *File) SameAs(path string) (bool, error) { return r.f.SameAs(path) }

// Live reports whether the owner of the file lives. Probe before reading: what
// is read after a probe that said dead is final.
func (r *File) Live() (bool, error) {
	if r.final {
		return false, nil
	}
	return r.f.Live()
}

// Finish marks the file as final: the owner is dead and everything has been
// read. The descriptor and the mappings are given back, what was read stays.
func (r *File) Finish() {
	r.Close()
	r.final = true
}

// Final reports whether Finish was called.
func (r *File) Final() bool { return r.final }

// Size is the size of the file in bytes when it was last looked at.
func (r *File) Size() int64 { return r.size }

// Memory is about how many bytes of memory are kept of the file.
func (r *File) Memory() int64 { return r.table.Memory() }

// Families are the families of the log, in the order of their records, and mirrored
// families. The slice only grows.
func (r *File) Families() []*layout.Family { return r.table.Families() }

// Entries are the runs of cells of the log, in the order of their records, and mirrored
// series. The slice only grows; Gone may become true.
func (r *File) Entries() []Entry { return r.table.Entries() }

// Natives are the native buckets of entries that are native histograms, by index in
// Entries. The map does not change: another reading makes another one.
func (r *File) Natives() map[int]*layout.Native { return r.table.Natives() }

// Gone returns how many entries are Gone.
func (r *File) Gone() int { return r.table.Gone() }

// Header is the header record.
func (r *File) Header() *layout.Header { return r.header }

// Refresh reads on: the snapshot if bbolt committed since, then the log.
func (r *File) Refresh() error {
	if r.final {
		return nil
	}
	r.refreshed = time.Now()
	if r.unchanged() {
		return nil
	}
	if err := r.snapshot(); err != nil {
		return &fs.PathError{Op: "read", Path: r.path, Err: err}
	}
	if err := r.readLog(); err != nil {
		return &fs.PathError{Op: "read series log", Path: r.path, Err: err}
	}
	return nil
}

// snapshot reads what bbolt holds, if it is not what was read before.
func (r *File) snapshot() error {
	s, err := readSnapshot(r.f, r.accepted)
	if err != nil || s == nil {
		return err
	}
	// An archive may be a copy: there is never more than one.
	if s.header.Kind == layout.ProcessFile && s.header.Inode != r.inode {
		return fmt.Errorf("inode %d, the header says %d: %w", r.inode, s.header.Inode, ErrCopy)
	}
	if r.header != nil && (s.header.ID != r.header.ID || s.header.Generation != r.header.Generation) {
		return fmt.Errorf("log of %v has another generation: %w", s.header.ID, ErrReplaced)
	}
	for _, place := range s.slabs {
		if known := r.slabs[place.header.Number]; known != nil {
			if known.place != place {
				return fmt.Errorf("slab %d moved from %d to %d: %w", place.header.Number, known.offset, place.offset, layout.ErrDamaged)
			}
			continue
		}
		s := &slab{place: place}
		r.slabs[place.header.Number] = s
		if place.header.Kind == layout.CellSlab {
			r.cells += s.body() / layout.WordBytes
		}
	}
	if err := r.takeMirrored(s.mirror); err != nil {
		return err
	}
	if err := r.takeExemplars(s.exemplars); err != nil {
		return err
	}
	r.accepted, r.header, r.size = s.metas, s.header, s.size
	return nil
}
