// Package source makes the source of a scan for a location. No other package chooses between the
// files of a directory and a server.
package source

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/location"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/scan"
	"github.com/mpmetrics/mpmetrics/internal/serverview"
)

// Opts says how to read a location.
type Opts struct {
	// ArchiveDir is the configured directory of the archive, usually empty, and Access
	// says what the directories may be like. A server has neither.
	ArchiveDir string
	Access     directory.Access

	// Timeout bounds one exchange with a server. Grace is the number of scans in a row that show
	// the last answer of a silent server. A directory has neither.
	Timeout time.Duration
	Grace   int

	Log *slog.Logger
}

// Open makes the source of a location, without reading.
func Open(l location.Location, o Opts) (scan.Source, error) {
	switch l.Kind() {
	case location.Server:
		server, err := remote.Connect(l, o.Log)
		if err != nil {
			return nil, err
		}
		return &serverview.Source{Server: server, Grace: o.Grace, Timeout: o.Timeout}, nil
	case location.Directory:
		return scan.NewDirectory(&scan.Local{Parent: l.Dir(), ArchiveParent: o.ArchiveDir, Access: o.Access}), nil
	}
	return nil, fmt.Errorf("location %q: the metrics in the memory of a process can be collected through its Store only", l)
}
