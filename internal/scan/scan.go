// Package scan reads the metrics of all processes of a service again and again, and merges the
// metrics.
//
// A Source is a place where processes publish. A Source answers with a Snapshot: the processes, and
// the archive of the absorbed processes, such that every process is counted once. A Scanner keeps
// the state of the processes from snapshot to snapshot, and brings a merger up to date.
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
	// ErrReturned is returned for the file of a process that was absorbed so long ago that the
	// archive has pruned the id. Only a backup can bring such a file back.
	ErrReturned = errors.New("file from a backup; its process was absorbed long ago")

	// ErrBoot is returned while the directory has files of an earlier boot of the machine. The last
	// seconds of the files may be missing. An absorption puts the files aside.
	ErrBoot = errors.New("files of an earlier boot wait for an absorption that puts the files aside")

	// ErrChanging is returned when ids left the archive during each of a few tries. The next scan
	// will probably succeed.
	ErrChanging = errors.New("archive was pruned during every try")

	// ErrDeadline is returned when the reading took too long. The next scan goes on with the files
	// that are still unread.
	ErrDeadline = errors.New("time for one scan is over")

	// ErrMemory is returned when the content of the files exceeds the memory of a scan.
	ErrMemory = errors.New("files hold more than one scan may keep")

	// ErrGone is returned after the directory was removed, until the live processes have made the
	// directory and their files again.
	ErrGone = errors.New("directory was removed; waiting until live processes have made a new directory")
)

// Source is a place where processes publish: a directory, or a namespace of a server. A Source is
// for one goroutine at a time.
type Source interface {
	// Snapshot reads the place, until the context ends. An error means that even the list of
	// processes is unknown: only Errs of the Snapshot is valid then. The slices of a Snapshot are
	// valid until the next call.
	Snapshot(ctx context.Context) (Snapshot, error)

	// Close gives everything back that the source holds, including the readings.
	Close()
}

// Snapshot is the content of a place at one moment. Every process is counted once: by its own
// values, or in the archive.
type Snapshot struct {
	// Place identifies the place. The number changes when a directory is removed and made again. 0:
	// there is no directory.
	Place uint64

	// Processes are all listed processes, in any order.
	Processes []Process

	// Archive is the archive. nil: the reading failed, and the last known archive is still the
	// best.
	Archive *archive.Archive

	// Settled means that Archive was read after Processes, and that no id left the archive in
	// between: a process that is neither listed nor in the archive is missing.
	Settled bool

	// InMemory reports whether a file of a process, and the archive, would be gone after another boot
	// of the machine. nil: neither would be gone.
	InMemory func() (files, archive bool)

	// Incomplete says why a total of the snapshot would be too low. nil: the totals are complete.
	Incomplete error

	// Errs are the transient errors of the reading, for the counters.
	Errs []error
}

// Process is one process in a Snapshot.
type Process struct {
	Name string // of the file
	ID   layout.ID

	// Reading is the content of the process. A Reading that differs from the Reading of the last
	// snapshot replaces the former Reading: the process was read from the beginning. nil: no value
	// of the process may be shown.
	Reading Kept
	Values  []uint64               // values of the entries of Reading
	Natives map[int]*layout.Native // native buckets by entry

	Live   bool
	Probed bool // the snapshot has probed Live; true unless Err is set

	// Err says why Reading and Values are older than the snapshot. After a transient error the
	// Scanner keeps its state of the process. Any other error is proven: the process is skipped,
	// and Reading, unless nil, has the last good values.
	Err error
}

// Reading is the content of one process so far. reader.File is a Reading.
type Reading interface {
	Header() *layout.Header
	Families() []*layout.Family
	Entries() []reader.Entry
	Gone() int   // entries that are Gone
	Shares() int // how often an entry became a share, or a series again
	Exemplars() map[string][]mirror.Exemplar
	Size() int64 // bytes that were read
}

// Kept is a Reading that belongs to a Source.
type Kept interface {
	Reading
	// Release gives back the memory that the source keeps for the reading, because the Scanner
	// stops showing the reading. The families and entries stay as they are.
	Release()
}
