package compact

import (
	"context"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// world is a place with dead processes and an archive: a directory (files), or a
// namespace of a server (partitions). The tests have one that crashes, and one in
// memory that lets others go on between any two calls.
type world interface {
	// lock begins an absorption. In a directory it takes compact.lock, or returns
	// ErrBusy when another absorption has it; a server checks at commit instead.
	lock(ctx context.Context) (unlock func(), err error)
	// list returns the names of all processes, among other names.
	list(ctx context.Context) ([]string, error)
	// dead probes whether the owner of a file is dead, without a lock that
	// anybody could take for an owner's.
	dead(name string) (bool, error)
	// readArchive reads the archive; an empty one where there is none.
	readArchive() (*archive.Archive, error)
	// header reads the header of a file of a process, and read the file whole.
	header(name string) (*layout.Header, error)
	read(ctx context.Context, name string) (*process, error)

	// commit makes a change. A crash at any moment leaves the place as it was before, or
	// absorbed processes whose files are still to be removed.
	commit(ctx context.Context, c change) (committed, error)
	// quarantine moves a file there, with the reason beside it.
	quarantine(ctx context.Context, name, reason string) error
	// clean removes the files that were being made by processes that are dead.
	clean(ctx context.Context) (removed int)

	now() time.Time
	boot() string // empty: the processes do not end with a machine
}

// change is the result of one batch.
type change struct {
	next     *archive.Archive // takes the place of the archive; nil: that stays
	aside    string           // unless empty: why the archive in place has to be kept in quarantine
	absorbed []string         // files of processes that next holds
}

// committed says how far a commit came.
type committed struct {
	published bool       // next is the archive now, also if an error is returned
	left      []LeftFile // absorbed files that could not be removed
}

// process is the file of a process.
type process struct {
	header   *layout.Header
	families []*layout.Family
	inputs   []merge.Input
	values   []uint64
	natives  map[int]*layout.Native // by input
}
