package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/location"
)

// The environment variables that a store without a Location looks at, in this
// order, and the variable for Opts.Process.
const (
	EnvURL     = "MPMETRICS_URL"
	EnvDir     = "MPMETRICS_DIR"
	EnvProcess = "MPMETRICS_PROCESS"
)

// The environment variables that stand for Opts.GroupShared, Opts.AllowNetworkFS and
// Opts.ArchiveDir: "1" or "true" sets the first two.
const (
	EnvGroupShared    = "MPMETRICS_GROUP_SHARED"
	EnvAllowNetworkFS = "MPMETRICS_ALLOW_NETWORK_FS"
	EnvArchiveDir     = "MPMETRICS_ARCHIVE_DIR"
)

// defaultMaxSeries is far above what a Prometheus server likes to scrape from
// one process, and far below what would fill a small tmpfs.
const defaultMaxSeries = 100_000

const defaultFlushInterval = time.Second

// Opts says where a store counts. The zero value takes everything from the
// environment.
type Opts struct {
	// Location is a directory that the processes of the service share, the URL of a
	// server, such as redis://host:6379/0?namespace=shop (see package store/redis, which
	// the program has to import), or "memory:" for plain in-process metrics. Empty:
	// $MPMETRICS_URL, then $MPMETRICS_DIR, then memory. Any user may own the directory; the
	// files are in its subdirectory "mpmetrics", which Open makes if missing. The directory
	// should be on tmpfs.
	Location string

	// Process is the value of the label "process" that tells the samples of
	// All and LiveAll gauges apart. Empty: $MPMETRICS_PROCESS, then the pid, or host:pid
	// on a server. Set Process when the pid says nothing, for instance to the number of a
	// worker.
	Process string

	// MaxSeries bounds the series of this process that are published: series beyond the
	// bound count in memory only, and in mpmetrics_dropped_series_total.
	// 0: 100,000; at most 1,048,576, because readers take no more from one process.
	// Raise MaxSeries when that counter moves and the labels are sound.
	MaxSeries int

	// FlushInterval is how often the collectors of Registerer are mirrored into
	// the file, and on a server how often all values are published: SIGKILL loses the
	// counts since the last flush. On a server a process that misses ten flushes counts as
	// dead until its next flush. 0: one second.
	FlushInterval time.Duration

	// Modes says how families of the collectors of Registerer are merged, by name
	// or by a pattern as path.Match takes it: an exact name first, then the longest
	// pattern. Counters may have a mode too: Max for a total that belongs to no single
	// process and that all processes mirror. Omit leaves a family out.
	// MostRecent is not possible. Set Modes where the default of Registerer is wrong:
	// {"go_goroutines": LiveAll} shows each process.
	Modes map[string]MergeMode

	// GroupShared opens the subdirectory to the users of its group, for a sidecar
	// that runs as another user: the users read each other's metrics, and absorb each
	// other's dead processes. All processes have to set GroupShared, by this field or by
	// $MPMETRICS_GROUP_SHARED=1. Trust every member of the group: members can forge values
	// and remove files.
	GroupShared bool

	// AllowNetworkFS permits a directory on NFS, SMB, 9p, FUSE and the like, as
	// $MPMETRICS_ALLOW_NETWORK_FS=1 does. By default such a directory is refused, because
	// a lock tells which process lives, and counting happens in mapped memory,
	// and few network file systems keep either promise. Set AllowNetworkFS only where you
	// know that yours does, and all processes are on one machine.
	AllowNetworkFS bool

	// ArchiveDir is a directory for the archive, as in compact.Opts. Empty:
	// $MPMETRICS_ARCHIVE_DIR. All processes need the same ArchiveDir: the environment
	// variable is the better place.
	ArchiveDir string

	// Absorption bounds the absorption of dead processes by a process that finds many of
	// them when it opens the store.
	Absorption compact.Limits

	// NoAbsorption leaves absorbing to collectors and compact.Run. A directory
	// that no collector reads then grows with each process.
	NoAbsorption bool

	// Logger takes one line for each change of state. nil: slog.Default().
	Logger *slog.Logger
}

// check returns an error for each field that has no meaning.
func (o Opts) check() error {
	var errs []error
	if o.MaxSeries < 0 || o.MaxSeries > layout.MaxSeries {
		errs = append(errs, fmt.Errorf("Opts.MaxSeries is %d: want 1 to %d, or 0 for %d", o.MaxSeries, layout.MaxSeries, defaultMaxSeries))
	}
	if o.FlushInterval < 0 {
		errs = append(errs, fmt.Errorf("Opts.FlushInterval is %v: want a positive duration, or 0 for %v", o.FlushInterval, defaultFlushInterval))
	}
	return errors.Join(append(errs, checkModes(o.Modes), o.Absorption.Check())...)
}

// withDefaults fills the fields in that are not set. An error says which fields have no
// meaning: those are replaced by their defaults.
func (o Opts) withDefaults() (Opts, error) {
	err := o.check()
	o.MaxSeries, o.FlushInterval = max(o.MaxSeries, 0), max(o.FlushInterval, 0)
	for _, name := range []string{EnvURL, EnvDir} {
		if o.Location == "" {
			o.Location = os.Getenv(name)
		}
	}
	if o.Location == "" {
		o.Location = location.Memory
	}
	if o.Process == "" {
		o.Process = os.Getenv(EnvProcess)
	}
	if o.Process == "" {
		o.Process = processOf(o.Location, os.Getpid())
	}
	if o.MaxSeries == 0 {
		o.MaxSeries = defaultMaxSeries
	}
	if o.FlushInterval == 0 {
		o.FlushInterval = defaultFlushInterval
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	access := o.access().WithEnv()
	o.GroupShared, o.AllowNetworkFS = access.GroupShared, access.AllowNetworkFS
	return o, err
}

// processOf returns the value of the label "process" that is not configured.
func processOf(text string, pid int) string {
	if location.KindOf(text) != location.Server {
		return strconv.Itoa(pid)
	}
	host, _ := os.Hostname() // without a name the pid has to do
	return fmt.Sprintf("%s:%d", host, pid)
}

func (o Opts) access() directory.Access {
	return directory.Access{GroupShared: o.GroupShared, AllowNetworkFS: o.AllowNetworkFS}
}
