package store

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mpmetrics/mpmetrics/compact"
)

// The environment variables that a store without a Location looks at, in this
// order.
const (
	EnvURL     = "MPMETRICS_URL"
	EnvDir     = "MPMETRICS_DIR"
	EnvProcess = "MPMETRICS_PROCESS"
)

// memoryLocation keeps everything in the process.
const memoryLocation = "memory:"

// defaultMaxSeries is far above what a Prometheus server likes to scrape from
// one process, and far below what would fill a small tmpfs.
const defaultMaxSeries = 100_000

// Opts says where a store counts. The zero value takes everything from the
// environment.
type Opts struct {
	// Location is a directory that the processes of the service share, or
	// "memory:" for plain in-process metrics. Empty: $MPMETRICS_URL, then
	// $MPMETRICS_DIR, then memory. The directory may belong to anybody; the
	// files are in its subdirectory "mpmetrics", which is made if missing. It
	// should be on tmpfs.
	Location string

	// Process is the value of the label "process" that tells the samples of
	// All and LiveAll gauges apart. Empty: $MPMETRICS_PROCESS, then the pid.
	// Set it when the pid says nothing, for instance to the number of a worker.
	Process string

	// MaxSeries bounds the series of this process that are published: what is
	// beyond counts in memory only, and in mpmetrics_dropped_series_total.
	// 0: 100,000. Raise it when that counter moves and the labels are sound.
	MaxSeries int

	// Absorption says how dead processes are absorbed into the archive by a
	// process that finds many of them when it opens the store. Its ArchiveDir has
	// to be that of all other processes, and is best left to
	// $MPMETRICS_ARCHIVE_DIR.
	Absorption compact.Opts

	// NoAbsorption leaves absorbing to collectors and compact.Run. A directory
	// that nobody scrapes then grows with each process.
	NoAbsorption bool

	// Logger takes one line for each change of state. nil: slog.Default().
	Logger *slog.Logger
}

// withDefaults fills in what is not set. dir is empty for memory.
func (o Opts) withDefaults() (filled Opts, dir string, err error) {
	for _, name := range []string{EnvURL, EnvDir} {
		if o.Location == "" {
			o.Location = os.Getenv(name)
		}
	}
	if o.Location == "" {
		o.Location = memoryLocation
	}
	if o.Process == "" {
		o.Process = os.Getenv(EnvProcess)
	}
	if o.Process == "" {
		o.Process = strconv.Itoa(os.Getpid())
	}
	if o.MaxSeries == 0 {
		o.MaxSeries = defaultMaxSeries
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Absorption.Logger == nil {
		o.Absorption.Logger = o.Logger
	}
	dir, err = Directory(o.Location)
	return o, dir, err
}

// Directory returns the directory that a location names, or "" for memory. It
// fails for a URL whose scheme has no backend.
func Directory(location string) (string, error) {
	if location == memoryLocation {
		return "", nil
	}
	scheme, _, found := strings.Cut(location, "://")
	path := location
	if found {
		u, err := url.Parse(location)
		if err != nil || scheme != "file" || u.Host != "" {
			return "", fmt.Errorf("location %q: no backend for %q; use a directory, file:///path or %q", redacted(location), scheme, memoryLocation)
		}
		path = u.Path
	}
	// A process may change its working directory: a service that becomes a
	// daemon does.
	dir, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("location %q: %w", location, err)
	}
	return dir, nil
}

// redacted is a location without its password.
func redacted(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}
