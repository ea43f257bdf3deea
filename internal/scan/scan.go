// Package scan reads what all processes of a service publish, again and again, and
// merges it.
//
// A Source is a place where processes publish. It answers with one Snapshot: the
// processes, and the archive of the absorbed processes, such that every process is
// counted once. A Scanner keeps what it knows of the processes from one snapshot to
// the next, and brings a merger up to date with it.
package scan

import (
	"context"
	"errors"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

var (
	// ErrReturned is returned for the file of a process that was absorbed so
	// long ago that its id was pruned. It can only come from a backup.
	ErrReturned = errors.New("file of a process that was absorbed long ago; it came back from a backup")

	// ErrBoot is returned while files of an earlier boot of the machine are in
	// the directory. Their last seconds may be missing; an absorption puts them
	// aside.
	ErrBoot = errors.New("files of an earlier boot wait for an absorption to put them aside")

	// ErrChanging is returned when ids left the archive under each of a few
	// tries. The next scan will probably do.
	ErrChanging = errors.New("archive was pruned under every try to read it")

	// ErrDeadline is returned when reading took too long. What was read is not
	// read again: the next scan comes further.
	ErrDeadline = errors.New("time for one scan is over")

	// ErrMemory is returned when what the files say does not fit.
	ErrMemory = errors.New("files hold more than one scan may keep")

	// ErrGone is returned when the directory was removed, until it is there again
	// and the processes that lived have made their files in it.
	ErrGone = errors.New("directory was removed under its processes; waiting for them to make it again")
)

// Source is a place where processes publish: a directory, or a namespace of a
// server. It is for one goroutine at a time.
type Source interface {
	// Snapshot reads the place, until the context ends. An error means that even the
	// list of the processes could not be read: of the Snapshot only Errs is valid then.
	// The slices of a Snapshot are valid until the next call.
	Snapshot(ctx context.Context) (Snapshot, error)

	// Close gives everything back that the source has, the readings included.
	Close()
}

// Snapshot is the content of a place at one moment. Every process is counted once:
// by its own values, or by those in the archive.
type Snapshot struct {
	// Place identifies the place. A directory that was removed and made again has
	// another Place. 0: there is no directory.
	Place uint64

	// Processes are all processes that are listed, in any order.
	Processes []Process

	// Archive is the archive. nil: it could not be read, and the last one is still
	// the best known.
	Archive *archive.Archive

	// Settled means that Archive was read after Processes, and that no id left the
	// archive in between: a process that is neither listed nor in the archive is
	// missing.
	Settled bool

	// Incomplete says why a total of this snapshot would be short. nil: it would not.
	Incomplete error

	// Errs are the errors that have to be counted: each transient one that was met.
	Errs []error
}

// Process is one process in a Snapshot.
type Process struct {
	Name string // of its file
	ID   layout.ID

	// Reading is what was read of the process. A Reading that is not the one of the
	// snapshot before replaces it: the process was read from the beginning. nil: nothing
	// of the process may be shown.
	Reading Kept
	Values  []uint64               // of the entries of Reading
	Natives map[int]*layout.Native // native buckets of these, by entry

	Live   bool
	Probed bool // Live is of this snapshot; true unless Err is set

	// Err says why Reading and Values are not of this snapshot. A transient error leaves
	// what the Scanner has as it is. Any other one is proven: the process is left out,
	// and Reading, unless nil, has its last good values.
	Err error
}

// Reading is what was read of one process so far. reader.File is one.
type Reading interface {
	Header() *layout.Header
	Families() []*layout.Family
	Entries() []reader.Entry
	Gone() int // entries that are Gone
	Exemplars() map[string][]mirror.Exemplar
	Size() int64 // in bytes, of what was read
}

// Kept is a Reading that belongs to a Source.
type Kept interface {
	Reading
	// Release gives back what the source keeps for the reading: the Scanner does not
	// show it any more. The families and entries stay as they are.
	Release()
}
