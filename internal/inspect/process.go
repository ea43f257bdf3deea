package inspect

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

// State is the state of a process.
type State string

// The states.
const (
	Live       State = "live"
	Locked     State = "locked"     // as Live for a scrape, but the process has ended
	Dead       State = "dead"       // the process counts in totals, and waits for its absorption
	Archived   State = "archived"   // the archive has the values, the file is about to be removed
	Damaged    State = "damaged"    // scrapes skip the file
	Refused    State = "refused"    // scrapes skip the file, for another reason than damage
	Unreadable State = "unreadable" // for the moment
	Gone       State = "gone"       // the file was removed before the absorption
)

// Process is a process with a file, now or earlier.
type Process struct {
	State   State
	Name    string // of the file
	Path    string
	PID     int
	ID      string
	Program string
	Host    string
	Label   string // value of the label "process"
	BootID  string
	Start   time.Time // zero: not known
	Bytes   int64
	Format  int // version; 0: not known

	Definitions []*layout.Family
	Series      []int // of each definition
	Mirrored    int   // series of foreign collectors

	Holders []int // pids of the processes that hold the lock of a Locked process, as seen from here

	Reason scan.Reason // why scrapes skip the file; empty: not skipped
	Err    error

	seen     scan.Seen
	remote   bool // there is no file
	labelled bool // a sample has the label "process"
}

func (p *Process) pidText() string { return strconv.Itoa(p.PID) }

// SeriesTotal is the number of series in the file.
func (p *Process) SeriesTotal() (n int) {
	for _, m := range p.Series {
		n += m
	}
	return n
}

// Contributes reports whether the process takes part in merged values.
func (p *Process) Contributes() bool { return p.seen.File != nil && !p.seen.Held }

// processes describes the files of the scan. errs has the errors of files that were not readable
// this time.
func (s *Survey) processes(errs []error) {
	s.inspector.owners.begin()
	for _, seen := range s.inspector.scanner.Seen() {
		p := &Process{Name: seen.Name, Path: seen.Name, ID: seen.ID.String(), Err: seen.Err, seen: seen, remote: s.Remote, labelled: s.inspector.scanner.Labelled(seen)}
		if !s.Remote {
			p.Path = filepath.Join(s.Directory, seen.Name)
		}
		p.PID, _, _ = layout.ParseFileName(seen.Name) // the scan has already parsed the name
		if p.Err == nil && seen.File == nil && !seen.Held {
			p.Err = errorOf(errs, seen.Name)
		}
		p.describe()
		if p.State == Live && !s.Remote {
			p.Holders = s.inspector.owners.missing(p)
			if len(p.Holders) > 0 {
				p.State = Locked
			}
		}
		s.Processes = append(s.Processes, p)
	}
	sortProcesses(s.Processes)
}

// errorOf finds the error about a file.
func errorOf(errs []error, name string) error {
	for _, err := range errs {
		if path, ok := errors.AsType[*fs.PathError](err); ok && filepath.Base(path.Path) == name {
			return err
		}
	}
	return errors.New("the file was not reached in time")
}

func (p *Process) describe() {
	if p.Err != nil {
		p.Reason = scan.ReasonOf(p.Err)
	}
	switch {
	case p.seen.Held:
		p.State = Archived
	case p.seen.Gone:
		p.State = Gone
	case p.Reason == scan.Damaged, p.Reason == scan.Foreign:
		p.State = Damaged
	case p.Err != nil && scan.Transient(p.Err):
		p.State = Unreadable
	case p.Err != nil:
		p.State = Refused
	case p.seen.Live:
		p.State = Live
	default:
		p.State = Dead
	}
	if p.seen.File != nil {
		p.header(p.seen.File.Header())
		p.Bytes = p.seen.File.Size()
		p.count()
		return
	}
	if p.remote {
		return
	}
	// The header may still be readable.
	if st, err := directory.LookAt(p.Path); err == nil {
		p.Bytes = st.Size
	}
	if h, err := reader.ReadHeader(p.Path); err == nil {
		p.header(h)
	}
}

func (p *Process) header(h *layout.Header) {
	p.Program, p.Host, p.Label, p.BootID = h.Program, h.Host, h.Process, h.BootID
	p.Start, p.Format = nanoseconds(h.Start), layout.Version
}

// count counts the series of each definition, the mirrored series of foreign collectors included.
func (p *Process) count() {
	p.Definitions = p.seen.File.Families()
	p.Series = make([]int, len(p.Definitions))
	for _, e := range p.seen.File.Entries() {
		if !e.Gone && !e.Share {
			p.Series[e.Family]++
			if e.Mirrored {
				p.Mirrored++
			}
		}
	}
}

// OtherBoot reports whether the file was written before the machine was started
// last.
func (p *Process) OtherBoot() bool { return directory.OfEarlierBoot(filepath.Dir(p.Path), p.BootID) }
