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

// The environment variables for a store without a Location, in the order of their use, and the
// variable for Opts.Process.
const (
	EnvURL     = "MPMETRICS_URL"
	EnvDir     = "MPMETRICS_DIR"
	EnvProcess = "MPMETRICS_PROCESS"
)

// The environment variables for Opts.GroupShared, Opts.AllowNetworkFS and Opts.ArchiveDir. "1" or
// "true" sets the first two.
const (
	EnvGroupShared    = "MPMETRICS_GROUP_SHARED"
	EnvAllowNetworkFS = "MPMETRICS_ALLOW_NETWORK_FS"
	EnvArchiveDir     = "MPMETRICS_ARCHIVE_DIR"
)

// defaultMaxSeries is far more than a Prometheus server should scrape from one process, and far too
// few series to fill a small tmpfs.
const defaultMaxSeries = 100_000

const defaultFlushInterval = time.Second

// Opts are the options of a [Store]. The zero value takes everything from the environment.
type Opts struct {
	// Location is a directory that the processes of the service share, the URL of a server, such as
	// redis://host:6379/0?namespace=shop (import package store/redis in the program), or "memory:"
	// for plain in-process metrics. Empty: $MPMETRICS_URL, then $MPMETRICS_DIR, then memory. Any
	// user may own the directory. The files are in the subdirectory "mpmetrics", and [Open] makes a
	// missing subdirectory. The directory should be on tmpfs.
	Location string

	// Process is the value of the label "process", the label that distinguishes the samples of
	// [All] and [LiveAll] gauges. Empty: $MPMETRICS_PROCESS, then the pid, or host:pid on a server.
	// Set Process if the pid has no meaning, for instance to the number of a worker.
	Process string

	// MaxSeries bounds the published series of this process. Series beyond the bound count in
	// memory, and in mpmetrics_dropped_series_total, until deleted series have left: then the series
	// beyond are published, with all that they counted, within a second or two. 0: 100,000; at most
	// 1,048,576, the limit of readers for one process. Raise MaxSeries if the counter moves and the
	// labels are sound.
	MaxSeries int

	// FlushInterval is the time between two flushes. In a directory, a flush mirrors the collectors
	// of [Store.Registerer] into the file. On a server, a flush publishes all values. In both cases
	// SIGKILL loses such counts since the last flush. A process that misses ten flushes on a server
	// counts as dead until its next flush. The first flush comes a millisecond after Open, and each
	// pause is twice as long as the pause before, up to FlushInterval: a process that lives shorter
	// than FlushInterval and exits without Close loses a part and not all. 0: one second.
	FlushInterval time.Duration

	// Modes are the merge modes for families of the collectors of [Store.Registerer]. A key is a
	// name or a pattern for [path.Match]. An exact name comes first, then the longest pattern.
	// Counters may have a mode too: [Max] for a total of all processes that every process mirrors.
	// [Omit] leaves a family out. [MostRecent] and [LiveMostRecent] are invalid. Set Modes where
	// the default of Registerer is wrong: {"go_goroutines": LiveAll} shows each process.
	Modes map[string]MergeMode

	// GroupShared opens the subdirectory to the users of its group, for a sidecar of another user.
	// The users read the metrics of each other, and absorb the dead processes of each other. All
	// processes have to set GroupShared, by the field or by $MPMETRICS_GROUP_SHARED=1. Trust every
	// member of the group: members can forge values and remove files.
	GroupShared bool

	// AllowNetworkFS permits a directory on NFS, SMB, 9p, FUSE and the like, as does
	// $MPMETRICS_ALLOW_NETWORK_FS=1. By default a store refuses such a directory: a lock tells live
	// processes from dead processes, counts are in mapped memory, and few network file systems keep
	// either promise. Set AllowNetworkFS only for a file system that keeps both promises, with all
	// processes on one machine.
	AllowNetworkFS bool

	// ArchiveDir is a directory for the archive, as in [compact.Opts]. Empty:
	// $MPMETRICS_ARCHIVE_DIR. All processes need the same ArchiveDir: prefer the environment
	// variable.
	ArchiveDir string

	// Absorption bounds the absorption that [Open] starts if the process finds many dead processes.
	Absorption compact.Limits

	// NoAbsorption leaves the absorption to collectors and [compact.Run]. A directory that no
	// collector reads then grows with each process.
	NoAbsorption bool

	// Logger takes one line for each change of state. nil: [slog.Default]. A process that was forked
	// without exec writes to the standard error instead.
	Logger *slog.Logger
}

// check returns an error for each invalid field.
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

// withDefaults sets the unset fields. The error names the invalid fields, and invalid fields get
// their defaults.
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

// processOf returns the value of the label "process" for an empty Process.
func processOf(text string, pid int) string {
	if location.KindOf(text) != location.Server {
		return strconv.Itoa(pid)
	}
	host, _ := os.Hostname() // without a name the pid must be enough
	return fmt.Sprintf("%s:%d", host, pid)
}

func (o Opts) access() directory.Access {
	return directory.Access{GroupShared: o.GroupShared, AllowNetworkFS: o.AllowNetworkFS}
}
