package compact

import (
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// world is everything outside that absorption looks at or changes: one method
// for each thing that a crash can come before or after. files is the shipped
// one; the tests have one that crashes, and one in memory that lets others go on
// between any two calls.
type world interface {
	// lock takes compact.lock. It returns ErrBusy when another has it.
	lock() (unlock func(), err error)
	// list returns the names that are in the directory.
	list() ([]string, error)
	// dead probes whether the owner of a file is dead, without a lock that
	// anybody could take for an owner's.
	dead(name string) (bool, error)
	// readArchive reads the archive; an empty one where there is none.
	readArchive() (*archive.Archive, error)
	// header reads the header of a file of a process, and read the file whole.
	header(name string) (*layout.Header, error)
	read(name string) (*process, error)

	// write writes an archive under a temporary name, and sync makes it durable.
	write(a *archive.Archive) (temporary string, err error)
	sync(temporary string) error
	// keep gives the archive that is in place a second name in quarantine.
	keep(reason string) error
	// publish renames what write wrote to the archive's name, and syncRename
	// makes that durable.
	publish(temporary string) error
	syncRename() error

	// remove unlinks a file.
	remove(name string) error
	// quarantine moves a file there, with the reason beside it.
	quarantine(name, reason string) error
	// clean removes the files that were being made by processes that are dead.
	clean() (removed int)

	now() time.Time
	boot() string
}

// process is the file of a process.
type process struct {
	header   *layout.Header
	families []*layout.Family
	inputs   []merge.Input
	values   []uint64
	natives  map[int]*layout.Native // by input
}
