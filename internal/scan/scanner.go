package scan

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// DefaultTimeout bounds a scan: it leaves Prometheus's ten seconds some for merging and
// sending.
const DefaultTimeout = 8 * time.Second

const (
	// settleTime is how long a living process has to make its file again after
	// somebody removed it. It looks once a second.
	settleTime = 10 * time.Second

	// maxAdders bounds the goroutines that add values up: they share the bandwidth of
	// the memory, and the service has other things to do.
	maxAdders = 4
)

// Scanner keeps track of the processes of a Source over many snapshots. It is for
// one goroutine at a time.
type Scanner struct {
	source Source
	merger *merge.Merger
	log    *slog.Logger
	boot   string

	// readError is told of each error of reading, once for each process that is
	// left out and each time for a transient error.
	readError func(error)

	files   map[string]*tracked
	place   uint64           // of the last snapshot
	since   time.Time        // when place was first seen in the place of another one
	archive *archive.Archive // as last read; never nil
	round   int
	values  []merge.Values // of all processes, while they are added up
}

// tracked is one process. Its name and id never change; a reset replaces known.
type tracked struct {
	name string
	id   layout.ID
	seen int // round of the snapshot that listed it
	known
}

// known is what the snapshots said of a process.
type known struct {
	member *merge.Member // nil: nothing of the process takes part

	// Valid with a member: the last good ones.
	reading Kept
	values  []uint64
	natives map[int]*layout.Native
	place   uint64 // of the snapshot that they are from

	live bool
	died time.Time // when it was first met dead
	gone time.Time // since when it is missing, and not absorbed
	bad  error     // why it is left out: proven, not transient

	families int // passed on to the merger
	removed  int // likewise: entries that are gone
}

// New returns a Scanner that merges what a source has, and closes the source in the
// end. readError is told of each error of reading: once for a process that is left
// out, each time for a transient error.
func New(source Source, m *merge.Merger, log *slog.Logger, readError func(error)) *Scanner {
	return &Scanner{
		source: source, merger: m, log: log, readError: readError, boot: boot.ID(),
		files: map[string]*tracked{}, archive: archive.New(),
	}
}

// Merge takes a snapshot and adds everything up: the families of the merger are those
// of the snapshot afterwards. An error means that something could not be read for
// the moment, so that a total would be short. The context bounds the reading.
func (s *Scanner) Merge(ctx context.Context) error {
	err := s.scan(ctx)
	s.merger.Begin()
	s.add()
	return err
}

// scan brings the merger up to date with a snapshot.
func (s *Scanner) scan(ctx context.Context) error {
	snapshot, err := s.source.Snapshot(ctx)
	for _, e := range snapshot.Errs {
		s.readError(e)
	}
	if err != nil {
		return err
	}
	if snapshot.Place != s.place {
		s.place, s.since = snapshot.Place, time.Now()
	}
	s.round++
	for i := range snapshot.Processes {
		s.take(&snapshot.Processes[i])
	}
	if snapshot.Archive != nil && snapshot.Archive != s.archive {
		s.archive = snapshot.Archive
		s.merger.Carry(s.archive.Ledger)
	}
	// Also when the archive cannot be read now: gauges are shown all the same.
	s.leaveHeld()
	if !snapshot.Settled {
		return snapshot.Incomplete
	}
	if err := s.checkAll(); err != nil {
		return err
	}
	return snapshot.Incomplete
}

// take takes one process of a snapshot.
func (s *Scanner) take(p *Process) {
	t := s.files[p.Name]
	if t == nil {
		t = &tracked{name: p.Name, id: p.ID}
		s.files[p.Name] = t
	}
	t.seen = s.round
	if p.Probed && t.member != nil {
		// Also when nothing more can be read: the live gauges of a damaged file leave
		// with its owner.
		s.merger.SetLive(t.member, p.Live)
	}
	switch {
	case p.Err != nil && Transient(p.Err):
	case p.Err != nil:
		if p.Reading == nil && t.member != nil {
			s.leave(t)
		}
		s.leaveOut(t, p.Err)
	case p.Reading != nil:
		s.update(t, p)
	}
}

// update takes the values of a process, and passes on to the merger what is new.
func (s *Scanner) update(t *tracked, p *Process) {
	if t.member != nil && t.reading != p.Reading {
		s.leave(t)
	}
	if !p.Live && (t.live || t.died.IsZero()) { // on a server the dead are looked at again
		t.died = time.Now()
	}
	t.reading, t.values, t.natives, t.live, t.place, t.bad = p.Reading, p.Values, p.Natives, p.Live, s.place, nil
	h := t.reading.Header()
	if t.member == nil {
		t.member = s.merger.Join(merge.Process{ID: h.ID, Start: h.Start, Label: h.Process, Live: t.live})
	}
	families, entries := t.reading.Families(), t.reading.Entries()
	known := t.member.Inputs()
	if t.reading.Gone() != t.removed {
		t.removed = t.reading.Gone()
		for i, e := range entries[:known] {
			if e.Gone {
				s.merger.Remove(t.member, i)
			}
		}
	}
	if len(families) == t.families && len(entries) == known {
		return
	}
	s.merger.Extend(t.member, families[t.families:], Inputs(entries[known:]))
	t.families = len(families)
}

// Inputs are entries of a file as a merger takes them.
func Inputs(entries []reader.Entry) []merge.Input {
	inputs := make([]merge.Input, 0, len(entries))
	for _, e := range entries {
		inputs = append(inputs, merge.Input{Family: e.Family, Values: e.Values, Created: e.Created, At: e.At, Gone: e.Gone})
	}
	return inputs
}

// leaveOut notes that a process is not read until it changes.
func (s *Scanner) leaveOut(t *tracked, err error) {
	if t.bad == nil {
		s.readError(err)
		s.log.Warn("mpmetrics: file is left out", "file", t.name, "reason", ReasonOf(err), "err", err)
	}
	t.bad, t.live = err, false
}

// leave takes a process out of the totals and gives back what is kept of it.
func (s *Scanner) leave(t *tracked) {
	if t.member != nil {
		s.merger.Leave(t.member)
		t.reading.Release()
	}
	t.known = known{}
}

// leaveHeld takes the processes out that the archive as last read holds.
func (s *Scanner) leaveHeld() {
	for _, t := range s.files {
		if s.archive.Holds(t.id) {
			s.leave(t)
		}
	}
}

// checkAll looks at all processes, those that are missing too. An error means that
// something is missing that may come again, or that there are processes of several
// boots of the machine.
func (s *Scanner) checkAll() error {
	failed := s.forget()
	for name, t := range s.files {
		if t.member != nil && !t.live && boot.Differ(t.reading.Header().BootID, s.boot) {
			failed = fmt.Errorf("%s: %w", name, ErrBoot)
		}
	}
	if failed == nil && boot.Differ(s.archive.BootID, s.boot) && s.lost() {
		failed = ErrBoot
	}
	if failed != nil {
		s.readError(failed)
	}
	return failed
}

// lost reports whether a process is missing that was there when the archive was
// written.
func (s *Scanner) lost() bool {
	there := make(map[layout.ID]bool, len(s.files))
	for _, t := range s.files {
		there[t.id] = true
	}
	return s.archive.Lost(there)
}

// forget drops the processes that are missing, but for those that nobody absorbed:
// their values are part of totals that were shown, and without them these would
// dip. The owner of such a file may live and make it again. An error means that
// the whole directory was removed, and that processes which lived are about to make
// it, and their files, again.
func (s *Scanner) forget() error {
	var failed error
	now := time.Now()
	for name, t := range s.files {
		switch {
		case t.seen == s.round:
			t.gone = time.Time{}
			continue
		case t.member == nil, s.archive.Holds(t.id), s.archive.Returned(t.id, t.reading.Header().Start):
			s.leave(t)
			delete(s.files, name)
			continue
		case t.place != s.place && (!t.live || now.Sub(s.since) > settleTime):
			// The file was removed with its directory, and so was the archive: totals
			// are reset.
			s.leave(t)
			delete(s.files, name)
			continue
		case t.place != s.place:
			failed = fmt.Errorf("%s: %w", name, ErrGone)
		}
		if t.gone.IsZero() {
			t.gone = now
			if t.bad == nil {
				s.log.Warn("mpmetrics: file was removed and not absorbed; its last values are shown until its process makes it again", "file", name)
			}
		}
		if t.live && now.Sub(t.gone) > settleTime {
			t.live = false
			s.merger.SetLive(t.member, false)
		}
	}
	return failed
}

// add adds the values of all processes up.
func (s *Scanner) add() {
	s.values = s.values[:0]
	for _, t := range s.files {
		if t.member != nil {
			s.values = append(s.values, merge.Values{Member: t.member, Words: t.values})
		}
	}
	s.merger.AddAll(s.values, min(maxAdders, runtime.GOMAXPROCS(0)))
	for _, t := range s.files {
		if t.member == nil {
			continue
		}
		for i, n := range t.natives {
			s.merger.AddNative(t.member, i, n)
		}
		for name, all := range t.reading.Exemplars() {
			for _, e := range all {
				exemplar := merge.Exemplar{Value: e.GetValue(), Time: e.GetTimestamp().AsTime().UnixNano(), Ref: e.Exemplar}
				if e.Native {
					s.merger.AddNativeExemplar(t.member, name, e.Labels, exemplar)
					continue
				}
				s.merger.AddExemplar(name, e.Labels, e.Bound, exemplar)
			}
		}
	}
}

// Archive is the archive as it was last read.
func (s *Scanner) Archive() *archive.Archive { return s.archive }

// Close gives everything back, and closes the source.
func (s *Scanner) Close() {
	for name, t := range s.files {
		s.leave(t)
		delete(s.files, name)
	}
	s.source.Close()
}

// Found is what a scan found.
type Found struct {
	Live, Dead, Unreadable int            // files
	Kept                   int            // files that are damaged or missing, whose last good values take part
	Skipped                map[Reason]int // of the unreadable and the kept, those that are there; nil: none
	Bytes                  int64          // of those that could be read, and the archive
	OldestDead             time.Time      // when the first of the dead was met; zero without
}

// Found counts what there is.
func (s *Scanner) Found() Found {
	var f Found
	for _, t := range s.files {
		missing := t.seen != s.round
		if !missing && t.bad != nil {
			if f.Skipped == nil {
				f.Skipped = map[Reason]int{}
			}
			f.Skipped[ReasonOf(t.bad)]++
		}
		switch {
		case s.archive.Holds(t.id):
			continue
		case t.member != nil && (missing || t.bad != nil):
			f.Kept++
			continue
		case missing:
			continue
		case t.member == nil:
			f.Unreadable++
			continue
		case t.live:
			f.Live++
		default:
			f.Dead++
			if f.OldestDead.IsZero() || t.died.Before(f.OldestDead) {
				f.OldestDead = t.died
			}
		}
		f.Bytes += t.reading.Size()
	}
	f.Bytes += s.archive.Size
	return f
}
