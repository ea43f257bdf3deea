// Package source makes the source of a scan from a location: nothing else chooses
// between the files of a directory and a server.
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

	// Timeout bounds one exchange with a server, and Grace is for how many scans in a row
	// the last answer of a silent server is shown. A directory has neither.
	Timeout time.Duration
	Grace   int

	Log *slog.Logger
}

// Open makes the source of a location. It does not look yet.
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
