package scan

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// Disk is everything that a Directory asks of the system: one method for each thing
// that others can come before or after. Local is the shipped one. The tests have one
// in memory, which stops at each call to let others go on.
type Disk interface {
	// Epoch begins a snapshot and returns the epoch of the archive, 0 without one.
	Epoch() (uint32, error)
	// Place identifies the directory that Epoch found, by a number that is another one
	// after the directory was removed and made again; 0: there is none.
	Place() uint64
	// List returns what is in the directory, in no order.
	List() ([]directory.Entry, error)
	// Open opens a published file and reads what it says so far.
	Open(name string) (File, error)
	// Readers is how many goroutines may open and read files at a time.
	Readers() int
	// Look returns what the file system says of a file, nil if nothing.
	Look(name string) os.FileInfo
	// Archive opens the archive by its name, and reads it. It returns known if
	// that is the same; the caller closes it otherwise.
	Archive(known *archive.Archive) (*archive.Archive, error)
}

// File is an open file of a process, as reader.File is.
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

// Local is the Disk that is one.
type Local struct {
	// Parent is the configured directory; ours is below it.
	Parent string
	// ArchiveParent is the one configured for the archive, usually empty.
	ArchiveParent string
	// Access says what both may be like.
	Access directory.Access

	// As of the last Epoch.
	sub, where string
	inode      uint64
	err        error // why there is no sub; nil if there is no directory yet

	known *archive.Archive // as last returned
}

// Epoch implements Disk. A directory that is not there yet has no archive.
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

// maxReaders bounds the goroutines that read files: they share the bandwidth of the
// memory, and the service has other things to do.
const maxReaders = 4

// Readers implements Disk.
func (d *Local) Readers() int { return min(maxReaders, runtime.GOMAXPROCS(0)) }

// Look implements Disk.
func (d *Local) Look(name string) os.FileInfo {
	info, err := os.Lstat(filepath.Join(d.sub, name))
	if err != nil {
		return nil
	}
	return info
}

// Archive implements Disk.
func (d *Local) Archive(known *archive.Archive) (*archive.Archive, error) {
	if d.sub == "" {
		return archive.New(), nil
	}
	// Again: the first process that is configured may have settled it elsewhere
	// since, and that archive has another epoch.
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
