package scan

import (
	"context"
	"errors"
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

// DefaultTimeout bounds a scan. Prometheus waits ten seconds, and the rest is for merging and
// sending.
const DefaultTimeout = 8 * time.Second

const (
	// settleTime is the time for a live process to make its file again after a removal. The process
	// looks once a second.
	settleTime = 10 * time.Second

	// maxAdders bounds the goroutines that add values up. All share the bandwidth of the memory,
	// and the service has other things to do.
	maxAdders = 4
)

// Scanner keeps the state of the processes of a Source over many snapshots. A Scanner is for one
// goroutine at a time.
type Scanner struct {
	source Source
	merger *merge.Merger
	log    *slog.Logger

	// readError is called once for each skipped process, and each time for a transient error.
	readError func(error)

	files   map[string]*tracked
	place   uint64           // of the last snapshot
	since   time.Time        // when place last changed
	archive *archive.Archive // as last read; never nil
	round   int
	values  []merge.Values // values of all processes, while they are added up
}

// tracked is one process. The name and the id never change; a reset replaces known.
type tracked struct {
	name string
	id   layout.ID
	seen int // round of the last snapshot with the process
	known
}

// known is the state of a process by the snapshots.
type known struct {
	member *merge.Member // nil: no value of the process takes part

	// Valid with a member: the last good values.
	reading Kept
	values  []uint64
	natives map[int]*layout.Native
	place   uint64 // place of the snapshot with the last good values

	// base is the part of the counts that is in no total; nil: none. A restart of totals replaces the
	// base. values and natives are without the base.
	base        *merge.Base
	subtraction *merge.Subtraction // for base and the entries that the merger knows

	round int // of the last values

	live bool
	died time.Time // when the process was first found dead
	gone time.Time // since when the file is missing without an absorption
	bad  error     // proven reason for skipping the process

	families int // number of families in the merger
	entries  int // number of entries in the merger; with a base only
	removed  int // number of Gone entries that the merger knows
	shares   int // changes of Share that the merger knows
}

// New returns a Scanner that merges the metrics of a source, and finally closes the source.
// readError is called once for each skipped process, and each time for a transient error.
func New(source Source, m *merge.Merger, log *slog.Logger, readError func(error)) *Scanner {
	return &Scanner{
		source: source, merger: m, log: log, readError: readError,
		files: map[string]*tracked{}, archive: archive.New(),
	}
}

// Merge takes a snapshot and adds the values up. Afterwards the families of the merger show the
// snapshot. An error means that the reading of a part failed for the moment, and that a total would
// be too low. The context bounds the reading.
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
	restarted := false
	if snapshot.Archive != nil && snapshot.Archive != s.archive {
		restarted = snapshot.Archive.Begun != s.archive.Begun
		s.archive = snapshot.Archive
		s.merger.Carry(s.archive.Ledger)
	}
	for i := range snapshot.Processes {
		s.take(&snapshot.Processes[i])
	}
	if restarted {
		s.leaveOld()
	}
	// Even if the reading of the archive failed, because gauges are shown all the same.
	s.leaveHeld()
	if !snapshot.Settled {
		return snapshot.Incomplete
	}
	if err := s.checkAll(snapshot.InMemory); err != nil {
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
		// Even if the file is damaged: its live gauges leave with its owner.
		s.merger.SetLive(t.member, p.Live)
	}
	switch {
	case p.Err != nil && Transient(p.Err):
		if errors.Is(p.Err, ErrMemory) && p.Reading == nil {
			s.leave(t) // the source has given the reading back, so that the memory is bounded
		}
	case p.Err != nil:
		if p.Reading == nil && t.member != nil {
			s.leave(t)
		}
		s.leaveOut(t, p.Err)
	case p.Reading != nil:
		s.update(t, p)
	}
}

// update takes the values of a process, and passes new families and entries on to the merger.
func (s *Scanner) update(t *tracked, p *Process) {
	if t.member != nil && t.reading != p.Reading {
		base := t.base
		s.leave(t)
		t.base = base
	}
	if !p.Live && (t.live || t.died.IsZero()) { // a server shows dead processes in each scan
		t.died = time.Now()
	}
	t.reading, t.values, t.natives, t.live, t.place, t.bad, t.round = p.Reading, p.Values, p.Natives, p.Live, s.place, nil, s.round
	if s.rebase(t) {
		return
	}
	s.join(t)
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
	if t.reading.Shares() != t.shares {
		t.shares = t.reading.Shares()
		for i, e := range entries[:known] {
			s.merger.SetShare(t.member, i, e.Share)
		}
	}
	if len(families) == t.families && len(entries) == known {
		return
	}
	s.merger.Extend(t.member, families[t.families:], Inputs(entries[known:]))
	t.families = len(families)
}

// join makes a process a member, unless the process is a member.
func (s *Scanner) join(t *tracked) {
	if t.member == nil {
		h := t.reading.Header()
		t.member = s.merger.Join(merge.Process{ID: h.ID, Start: h.Start, Label: h.Process, Live: t.live})
	}
}

// rebase subtracts the base of a process, and reports whether the process has a base. When the base
// or the entries change, the process joins the merger anew.
func (s *Scanner) rebase(t *tracked) bool {
	base := s.archive.Base(t.reading.Header())
	switch {
	case base != nil && t.base != nil && base.Same(t.base):
		base = t.base // of an earlier reading of the archive
	case base == nil:
		// The base leaves the archive with the file. What the scanner keeps of a missing file stays
		// without the base.
		base = t.base
	}
	if base == nil {
		return false
	}
	families, entries := t.reading.Families(), t.reading.Entries()
	if t.base != base || t.subtraction == nil || len(families) != t.families || len(entries) != t.entries ||
		t.reading.Gone() != t.removed || t.reading.Shares() != t.shares {
		if t.member != nil {
			s.merger.Leave(t.member)
			t.member = nil
		}
		s.join(t)
		t.base, t.subtraction = base, base.Subtract(families, Inputs(entries), len(t.values))
		s.merger.Extend(t.member, families, t.subtraction.Inputs)
		t.families, t.entries, t.removed, t.shares = len(families), len(entries), t.reading.Gone(), t.reading.Shares()
	}
	t.values, t.natives = t.subtraction.Apply(t.values, t.natives)
	return true
}

// leaveOld takes processes out of the totals whose values are older than the restart of totals:
// nobody knows how much of such values earlier totals had.
func (s *Scanner) leaveOld() {
	for _, t := range s.files {
		if t.round != s.round && t.member != nil {
			bad := t.bad
			s.leave(t)
			t.bad = bad
		}
	}
}

// Inputs converts the entries of a file for a merger.
func Inputs(entries []reader.Entry) []merge.Input {
	inputs := make([]merge.Input, 0, len(entries))
	for _, e := range entries {
		inputs = append(inputs, merge.Input{Family: e.Family, Values: e.Values, Created: e.Created, At: e.At, Gone: e.Gone, Share: e.Share, Stamped: e.Stamped})
	}
	return inputs
}

// leaveOut skips a process until the process changes.
func (s *Scanner) leaveOut(t *tracked, err error) {
	if t.bad == nil {
		s.readError(err)
		s.log.Warn("mpmetrics: file is skipped", "file", t.name, "reason", ReasonOf(err), "err", err)
	}
	t.bad, t.live = err, false
}

// leave takes a process out of the totals and gives back its memory.
func (s *Scanner) leave(t *tracked) {
	if t.member != nil {
		s.merger.Leave(t.member)
		t.reading.Release()
	}
	t.known = known{}
}

// leaveHeld takes processes that the archive holds out of the totals.
func (s *Scanner) leaveHeld() {
	for _, t := range s.files {
		if s.archive.Holds(t.id) {
			s.leave(t)
		}
	}
}

// checkAll checks all processes, including missing processes. An error means that a missing process
// may come back, or that processes are of several boots of the machine.
func (s *Scanner) checkAll(inMemory func() (files, archive bool)) error {
	failed := s.forget()
	if failed == nil {
		failed = s.checkBoot(inMemory)
	}
	if failed != nil {
		s.readError(failed)
	}
	return failed
}

// checkBoot returns ErrBoot, or an error that wraps ErrBoot with the name of a file, if a dead process
// is of an earlier boot of the machine, or the archive is and a process is missing.
func (s *Scanner) checkBoot(inMemory func() (files, archive bool)) (failed error) {
	now := boot.ID()
	for name, t := range s.files {
		if t.member != nil && !t.live && boot.Differ(t.reading.Header().BootID, now) {
			failed = fmt.Errorf("%s: %w", name, ErrBoot)
		}
	}
	ofArchive := boot.Differ(s.archive.BootID, now) && s.lost()
	if failed == nil && !ofArchive {
		return nil
	}
	if inMemory != nil { // asked last: a system call
		files, archive := inMemory()
		if files {
			failed = nil
		}
		ofArchive = ofArchive && !archive
	}
	if failed == nil && ofArchive {
		failed = ErrBoot
	}
	return failed
}

// lost reports whether a process is missing that existed when the archive was written.
func (s *Scanner) lost() bool {
	there := make(map[layout.ID]bool, len(s.files))
	for _, t := range s.files {
		there[t.id] = true
	}
	return s.archive.Lost(there)
}

// forget drops missing processes, but no process that is missing without an absorption: former
// totals have the values of such a process, and would dip. A live owner makes its file again. An
// error means that the whole directory was removed, and that live processes are about to make the
// directory and their files again.
func (s *Scanner) forget() error {
	var failed error
	now := time.Now()
	for name, t := range s.files {
		switch {
		case t.seen == s.round:
			t.gone = time.Time{}
			continue
		case t.member == nil, s.archive.Holds(t.id), s.archive.Pruned(t.reading.Header()):
			s.leave(t)
			delete(s.files, name)
			continue
		case t.place != s.place && (!t.live || now.Sub(s.since) > settleTime):
			// The archive was removed with the directory of the file: totals are reset.
			s.leave(t)
			delete(s.files, name)
			continue
		case t.place != s.place:
			failed = fmt.Errorf("%s: %w", name, ErrGone)
		}
		if t.gone.IsZero() {
			t.gone = now
			if t.bad == nil {
				s.log.Warn("mpmetrics: file is missing without an absorption; its last values are shown until its process makes a new file", "file", name)
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
				s.merger.AddExemplar(t.member, name, e.Labels, e.Bound, exemplar)
			}
		}
	}
}

// Archive returns the archive as last read.
func (s *Scanner) Archive() *archive.Archive { return s.archive }

// Close gives everything back, and closes the source.
func (s *Scanner) Close() {
	for name, t := range s.files {
		s.leave(t)
		delete(s.files, name)
	}
	s.source.Close()
}

// Found is the result of a scan in numbers.
type Found struct {
	Live, Dead, Unreadable int            // files
	Kept                   int            // damaged or missing files with last good values
	Skipped                map[Reason]int // unreadable and damaged files by reason; nil: none
	Bytes                  int64          // of the files that were read, and of the archive
	OldestDead             time.Time      // when the first dead process was found, or zero
}

// Found counts the result of the last scan.
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
