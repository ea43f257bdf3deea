package scan

import (
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// Disk is the part of the system that a Directory uses. Each method is a step that another process
// may come before or after. Local is the shipped Disk. The tests have a Disk in memory, which stops
// at each call to let other processes go on.
type Disk interface {
	// Epoch begins a snapshot and returns the epoch of the archive, or 0 without an archive.
	Epoch() (uint32, error)
	// Place identifies the directory that Epoch found. The number changes when the directory is
	// removed and made again. 0: there is no directory.
	Place() uint64
	// InMemory reports whether the files, and the archive, of the last Epoch would be gone after
	// another boot of the machine.
	InMemory() (files, archive bool)
	// List returns the entries of the directory, in no order.
	List() ([]directory.Entry, error)
	// Open opens a published file and reads the content.
	Open(name string) (File, error)
	// Readers returns the number of goroutines that may open and read files at a time.
	Readers() int
	// Look returns the attributes of a file in the file system; zero: without a file.
	Look(name string) directory.Stat
	// Archive opens the archive by its name, and reads the archive. If the archive is known,
	// Archive returns known. Otherwise the caller closes known.
	Archive(known *archive.Archive) (*archive.Archive, error)
}

// File is an open file of a process, like reader.File.
type File interface {
	Reading
	Natives() map[int]*layout.Native
	Memory() int64

	Reopen(listed uint64) error
	Live() (bool, error)
	Refresh() error
	Load() ([]uint64, error)

	Finish()
	Final() bool
	Rest()
	Resting() bool
	Close()
}

// Local is the Disk for a directory of the file system.
type Local struct {
	// Parent is the configured directory. The directory with the files is below Parent.
	Parent string
	// ArchiveParent is the configured directory for the archive, usually empty.
	ArchiveParent string
	// Access holds the rules for both directories.
	Access directory.Access

	// State of the last Epoch.
	sub, where string
	inode      uint64
	err        error // why sub is empty; nil: the directory does not exist yet

	known *archive.Archive // as last returned
}

// Epoch implements Disk. A missing directory has no archive.
func (d *Local) Epoch() (uint32, error) {
	d.where, d.inode = "", 0
	d.sub, d.err = directory.Find(d.Parent, d.Access)
	if errors.Is(d.err, fs.ErrNotExist) {
		d.sub, d.err = "", nil
		return 0, nil
	}
	if d.err != nil {
		d.sub = ""
		return 0, d.err
	}
	st, err := directory.LookAt(d.sub)
	if err != nil {
		d.sub, d.err = "", err
		return 0, err
	}
	d.inode = st.Inode
	d.where, err = archive.Locate(d.sub, d.ArchiveParent, d.Access)
	if err != nil {
		return 0, err
	}
	return archive.Epoch(d.where, d.known)
}

// Place implements Disk.
func (d *Local) Place() uint64 { return d.inode }

// InMemory implements Disk.
func (d *Local) InMemory() (files, archive bool) {
	files = directory.InMemory(d.sub)
	if d.where == d.sub {
		return files, files
	}
	return files, directory.InMemory(d.where)
}

// List implements Disk.
func (d *Local) List() ([]directory.Entry, error) {
	if d.sub == "" {
		return nil, d.err
	}
	return directory.ListEntries(d.sub)
}

// Open implements Disk.
func (d *Local) Open(name string) (File, error) {
	f, err := reader.Open(filepath.Join(d.sub, name))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// maxReaders bounds the goroutines that read files. All share the bandwidth of the memory, and the
// service has other things to do.
const maxReaders = 4

// Readers implements Disk.
func (d *Local) Readers() int { return min(maxReaders, runtime.GOMAXPROCS(0)) }

// Look implements Disk.
func (d *Local) Look(name string) directory.Stat {
	st, err := directory.LookAt(filepath.Join(d.sub, name))
	if err != nil {
		return directory.Stat{}
	}
	return st
}

// Archive implements Disk.
func (d *Local) Archive(known *archive.Archive) (*archive.Archive, error) {
	if d.sub == "" {
		return archive.New(), nil
	}
	// Locate again: the first configured process may have moved the archive meanwhile. An archive
	// at the other place has another epoch.
	where, err := archive.Locate(d.sub, d.ArchiveParent, d.Access)
	if err != nil {
		return nil, err
	}
	a, err := archive.Open(where, known)
	if err == nil {
		d.known = a
	}
	return a, err
}
