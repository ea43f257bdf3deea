// Package reader reads the file of a process without a lock and without writing, while the owner
// counts.
//
// The bbolt content of the file (the header, the list of slabs) is read as a snapshot:
//
//  1. The reader reads both meta pages. The valid meta page with the higher transaction wins.
//  2. The reader reads the pages that are reachable from the winner, without slabs.
//  3. The reader reads both meta pages again, and accepts the snapshot if and only if both meta
//     pages are unchanged.
//
// bbolt writes the pages of a transaction before the meta page of the transaction, and reuses pages
// of an older transaction only two transactions later. So while both meta pages are unchanged,
// bbolt has overwritten none of the pages that were read. An unchanged winner alone is not enough:
// the other meta page may be half written, and hide that two transactions have passed.
//
// The log and the cells need no snapshot. The reader reads the log from the end of the last reading
// on, and loads the cells as atomic words.
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
	// ErrBusy is returned when the file changed during each of a bounded number of tries. The next
	// try will probably succeed.
	ErrBusy = errors.New("file changed during every try")

	// ErrReplaced is returned when the path leads to another file than before.
	ErrReplaced = errors.New("file was replaced")

	// ErrCopy is returned for a copy of another file. A reader must not count the same values
	// twice.
	ErrCopy = errors.New("file is a copy")
)

// maxFileBytes bounds a file. Histograms with the usual buckets fit, up to the limit of series. A
// longer file is foreign, or sparse.
const maxFileBytes = 1 << 30

// Entry is one run of values: a series.
type Entry = table.Entry

// File is the file of one process, and the content that was read so far. A File is for one
// goroutine at a time.
type File struct {
	path  string
	inode uint64
	f     *directory.File // nil while the descriptor is given back
	size  int64

	refreshed time.Time // when the last reading began

	accepted metas          // meta pages of the snapshot with header and slabs
	metas    *mapped.Region // both meta pages, from the second reading on
	header   *layout.Header
	slabs    map[uint32]*slab

	table   table.Table
	log     cursor         // where the log goes on
	numbers map[uint32]int // family number to index in Families
	series  []seriesRef    // by ascending number
	used    int            // cells of all entries that are not Gone
	cells   int            // cells of all slabs, an upper bound for used

	exemplars map[string][]mirror.Exemplar // by name of the family
	encoded   map[string][]byte            // exemplars as the file has them

	runs   []run
	groups []group
	left   int      // Gone entries that runs and groups skip
	values []uint64 // as last loaded
	final  bool

	visit func(layout.Record) error // of an archive, while Visit runs
}

// seriesRef finds the first entry of a series by number.
type seriesRef struct {
	number uint32
	entry  int
}

// Open opens a published file and reads the content. Errors wrap errors of this package, of package
// layout and of package directory, or come from the system.
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

// openHeader opens a file and reads the bbolt content.
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

// checkName refuses a file under a second name, because both names would count. checkName finds
// hard links, whose inode is the inode in the header.
func (r *File) checkName() error {
	if r.header.Kind != layout.ProcessFile {
		return &fs.PathError{Op: "read", Path: r.path, Err: fmt.Errorf("an archive in the place of a process's file: %w", ErrCopy)}
	}
	pid, id, err := layout.ParseFileName(filepath.Base(r.path))
	if err == nil && (id != r.header.ID || pid != int(r.header.PID)) {
		return &fs.PathError{Op: "read", Path: r.path, Err: fmt.Errorf("the header says %s: %w", layout.FileName(int(r.header.PID), r.header.ID), ErrCopy)}
	}
	return nil
}

// Reopen opens the descriptor again after Rest. Otherwise Reopen checks that the path still leads
// to the open file. A replaced file is ErrReplaced, and a missing file wraps fs.ErrNotExist: close
// the File and open another File.
//
// listed is the inode that a listing of the directory showed for the name, or 0. If listed is the
// inode of the open file, no check is necessary: no other file gets the inode while the file is
// open.
func (r *File) Reopen(listed uint64) error {
	if r.f != nil {
		if listed == r.inode {
			return nil
		}
		// Look by name: an owner whose file was moved away has made another file.
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

// Rest gives the descriptor back until Reopen. The mappings stay.
func (r *File) Rest() {
	if r.f != nil {
		r.f.Close()
		r.f = nil
	}
}

// Resting reports whether the descriptor is given back.
func (r *File) Resting() bool { return r.f == nil }

// Unmap gives the mappings back, but not the descriptor. Afterwards the log and the cells are
// unreadable.
func (r *File) Unmap() {
	for _, s := range r.slabs {
		s.unmap()
	}
	r.slabs, r.log, r.runs, r.groups = nil, cursor{}, nil, nil
	r.unmapMetas()
}

// Close gives the descriptor and the mappings back.
func (r *File) Close() {
	r.Rest()
	r.Unmap()
}

// SameAs reports whether a path leads to the open file.
func (r *File) SameAs(path string) (bool, error) { return r.f.SameAs(path) }

// Live reports whether the owner of the file is live. Probe before reading: the content is final if
// the reading came after a probe that said dead.
func (r *File) Live() (bool, error) {
	if r.final {
		return false, nil
	}
	return r.f.Live()
}

// Finish marks the file as final: the owner is dead, and the content was read. Finish gives the
// descriptor and the mappings back, and keeps the content.
func (r *File) Finish() {
	r.Close()
	r.final = true
}

// Final reports whether Finish was called.
func (r *File) Final() bool { return r.final }

// Size returns the size of the file in bytes, as last seen.
func (r *File) Size() int64 { return r.size }

// Memory estimates the bytes of memory that the content takes.
func (r *File) Memory() int64 { return r.table.Memory() }

// Families returns the families of the log, in the order of their records, and mirrored families.
// The slice only grows.
func (r *File) Families() []*layout.Family { return r.table.Families() }

// Entries returns the entries of the log, in the order of their records, and mirrored series. The
// slice only grows; Gone may become true.
func (r *File) Entries() []Entry { return r.table.Entries() }

// Natives returns the native buckets of the native histograms, by index in Entries. The map never
// changes: another reading makes another map.
func (r *File) Natives() map[int]*layout.Native { return r.table.Natives() }

// Gone returns the number of entries that are Gone.
func (r *File) Gone() int { return r.table.Gone() }

// Shares returns how often an entry became a share, or a series again.
func (r *File) Shares() int { return r.table.Shares() }

// Header returns the header record.
func (r *File) Header() *layout.Header { return r.header }

// Refresh reads the snapshot again if bbolt has committed since, and then reads the log.
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

// snapshot reads the bbolt content again if the content may have changed.
func (r *File) snapshot() error {
	s, err := readSnapshot(r.f, r.accepted)
	if err != nil || s == nil {
		return err
	}
	// An archive may be a copy, because no second archive is read beside the first.
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
