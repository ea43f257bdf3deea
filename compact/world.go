package compact

import (
	"context"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// world is a place with dead processes and an archive: a directory (files), or a namespace of a
// server (partitions). The tests have a world that crashes, and a world in memory that lets other
// processes go on between two calls.
type world interface {
	// lock begins an absorption. In a directory lock takes compact.lock, or returns ErrBusy while
	// another absorption has the lock. A server checks at commit instead.
	lock(ctx context.Context) (unlock func(), err error)
	// list returns the names of all processes, among other names.
	list(ctx context.Context) ([]string, error)
	// dead probes whether the owner of a file is dead, without a lock that a reader could take for
	// the owner's lock.
	dead(name string) (bool, error)
	// readArchive reads the archive in place. An error about the content is proven by two readings.
	// Without an archive readArchive returns an empty archive. In a
	// directory readArchive locks the archive until the next readArchive, or returns ErrBusy while
	// another absorption has the lock.
	readArchive(ctx context.Context) (*archive.Archive, error)
	// damaged returns a time in Unix nanoseconds after which nothing has damaged the archive in place,
	// which readArchive could not read. math.MinInt64 means that all processes count from zero: there
	// never was an archive, or processes publish everything in other partitions after the restart.
	damaged() int64
	// header reads the header of a process's file, and read reads the whole file.
	header(name string) (*layout.Header, error)
	read(ctx context.Context, name string) (*process, error)

	// commit makes a change, or returns ErrChanged if the place is not the place of the readings any
	// more. A crash at any moment leaves the place unchanged, or leaves absorbed
	// processes whose files are still to be removed.
	commit(ctx context.Context, c change) (committed, error)
	// quarantine moves a file to quarantine, with the reason beside the file.
	quarantine(ctx context.Context, name, reason string) error
	// clean removes unfinished files of dead processes.
	clean(ctx context.Context) (removed int)

	now() time.Time
	// uptime is the time since the boot, which nobody can set. 0: no such clock.
	uptime() time.Duration
	// steady returns how long the wall clock has not been set, as far as absorptions have seen, from a
	// reading of both clocks.
	steady(now time.Time, uptime time.Duration) time.Duration
	boot() string // empty: processes outlive the boot of a machine
	// inMemory reports whether the files, and the archive, would be gone after another boot.
	inMemory() (files, archive bool)
}

// change is the result of one batch.
type change struct {
	next     *archive.Archive // the next archive; nil: the archive stays
	aside    string           // unless empty: reason for keeping the archive in place in quarantine
	absorbed []string         // files of processes that the next archive holds
}

// committed is the result of a commit.
type committed struct {
	published bool       // the next archive is in place, even if an error is returned
	left      []LeftFile // absorbed files that could not be removed
}

// process is the content of a process's file.
type process struct {
	header   *layout.Header
	families []*layout.Family
	inputs   []merge.Input
	values   []uint64
	natives  map[int]*layout.Native // by input
}
