// Package scan reads a directory: the files of all processes, and the archive of
// the dead. It sees to it that everybody is counted once, although processes are
// absorbed into the archive while it reads:
//
//	(i)   note the epoch of the archive
//	(ii)  list the files
//	(iii) read every file
//	(iv)  open the archive by its name, after the last file, and read it
//	(v)   drop the files of processes that it holds; keep the last good values of
//	      others that are missing
//	(vi)  if its epoch is not that of (i), begin again
//
// A file that is not there any more was removed after the rename that put its
// values into the archive, and so the archive that is opened later holds them.
// One that was read and absorbed meanwhile is dropped by its id. Ids leave the
// archive, long after the files, and that changes the epoch.
package scan

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

var (
	// ErrReturned is returned for the file of a process that was absorbed so
	// long ago that its id was pruned. It can only come from a backup.
	ErrReturned = errors.New("file of a process that was absorbed long ago; it came back from a backup")

	// ErrBoot is returned while files of an earlier boot of the machine are in
	// the directory. Their last seconds may be missing; an absorption puts them
	// aside.
	ErrBoot = errors.New("files of an earlier boot wait for an absorption to put them aside")

	// ErrChanging is returned when ids left the archive under each of a few
	// tries. The next scan will probably do.
	ErrChanging = errors.New("archive was pruned under every try to read it")

	// ErrDeadline is returned when reading took too long. What was read is not
	// read again: the next scan comes further.
	ErrDeadline = errors.New("time for one scan is over")

	// ErrMemory is returned when what the files say does not fit.
	ErrMemory = errors.New("files hold more than one scan may keep")

	// ErrGone is returned when the directory was removed, until it is there again
	// and the processes that lived have made their files in it.
	ErrGone = errors.New("directory was removed under its processes; waiting for them to make it again")
)

const (
	// maxTries bounds step (vi). Pruning happens every ten minutes at most.
	maxTries = 3

	// maxMemory bounds what is kept of all files together, some twenty million
	// series: more than a Prometheus server takes from one target.
	maxMemory = 4 << 30

	// settleTime is how long a living process has to make its file again after
	// somebody removed it. It looks once a second.
	settleTime = 10 * time.Second
)

// Scanner keeps track of the files of a directory over many scans. It is for one
// goroutine at a time.
type Scanner struct {
	source Source
	merger *merge.Merger
	log    *slog.Logger
	boot   string

	// ReadError is told of each error of reading, once for each file that is
	// left out and each time for what may pass.
	readError func(error)

	files   map[string]*tracked
	where   uint64           // the directory they are in
	since   time.Time        // when it was first seen in the place of another one
	archive *archive.Archive // as last read; never nil
	skip    bool             // its ids are still good: (i) found its epoch
	round   int
	values  []merge.Values // of all files, while they are added up
	fetcher
}

// tracked is one file.
type tracked struct {
	name    string
	id      layout.ID
	file    File                   // nil while it cannot be read at all
	member  *merge.Member          // nil until it was read once
	values  []uint64               // last good ones, the file's own
	natives map[int]*layout.Native // native buckets of these, by entry
	seen    int                    // round of the scan that listed it
	inode   uint64                 // likewise, if it was told
	live    bool
	died    time.Time   // when it was first met dead
	where   uint64      // the directory it was read in
	memory  int64       // counted for the fetcher
	fetched fetched     // not taken over yet, if done
	gone    time.Time   // since when it is missing, and not absorbed
	bad     error       // why it is not read: proven, not transient
	badAs   os.FileInfo // the file as it was then: not read again while it is so

	families int // passed on to the merger
	removed  int // likewise: entries that are gone
}

// New returns a Scanner that passes what it reads on to a merger. readError is
// told of each error of reading: once for a file that is left out, each time for
// what may pass.
func New(source Source, m *merge.Merger, log *slog.Logger, readError func(error)) *Scanner {
	return &Scanner{
		source: source, merger: m, log: log, readError: readError, boot: boot.ID(),
		files: map[string]*tracked{}, archive: archive.New(), fetcher: newFetcher(source),
	}
}

// Scan reads everything there is, until a deadline. An error means that something
// could not be read for the moment, so that a total would be short.
func (s *Scanner) Scan(deadline time.Time) error {
	for range maxTries {
		epoch, archiveErr := s.source.Epoch() // (i)
		s.skip = archiveErr == nil && epoch == s.archive.Epoch
		entries, err := s.list() // (ii)
		if err != nil {
			s.readError(err)
			return err
		}
		failed := s.readAll(entries, deadline) // (iii)
		if archiveErr == nil {
			archiveErr = s.readArchive() // (iv)
		}
		if archiveErr != nil {
			s.leaveHeld()
			s.readError(archiveErr)
			return archiveErr
		}
		if s.archive.Epoch != epoch { // (vi), before (v): who was pruned meanwhile is not among those it drops
			continue
		}
		if err := s.drop(); err != nil { // (v)
			failed = err
		}
		return failed
	}
	s.leaveHeld()
	s.readError(ErrChanging)
	return ErrChanging
}

// leaveHeld takes the files out that the archive as last read holds: gauges are
// shown also when it cannot be read now.
func (s *Scanner) leaveHeld() {
	for _, t := range s.files {
		if s.archive.Holds(t.id) {
			s.leave(t)
		}
	}
}

// list returns what is in the directory, and notes when that is another one than
// before, or none.
func (s *Scanner) list() ([]directory.Entry, error) {
	entries, err := s.source.List()
	if where := s.source.Where(); err == nil && where != s.where {
		s.where, s.since = where, time.Now()
	}
	return entries, err
}

// readAll reads every file. An error means that one of them could not be read
// for the moment.
func (s *Scanner) readAll(entries []directory.Entry, deadline time.Time) error {
	s.round++
	listed := make([]*tracked, 0, len(entries))
	for _, e := range entries {
		t := s.files[e.Name]
		if t == nil {
			_, id, err := layout.ParseFileName(e.Name)
			if err != nil {
				continue // not ours: never touched
			}
			t = &tracked{name: e.Name, id: id}
			s.files[e.Name] = t
		}
		t.seen, t.inode = s.round, e.Inode
		listed = append(listed, t)
	}
	s.fetchTogether(listed, deadline)
	var failed error
	late := false
	for _, t := range listed {
		if s.skip && s.archive.Holds(t.id) {
			continue // about to be removed
		}
		if late = late || !t.fetched.done && time.Now().After(deadline); late && !t.fetched.done {
			continue
		}
		if err := s.read(t); err != nil {
			failed = err
		}
	}
	if late {
		s.readError(ErrDeadline)
		return ErrDeadline
	}
	return failed
}

// readArchive reads the archive, and lets it take part in place of the one
// before.
func (s *Scanner) readArchive() error {
	a, err := s.source.Archive(s.archive)
	if err != nil {
		return err
	}
	if a != s.archive {
		s.archive.Close()
		s.archive = a
		s.merger.Carry(a.Ledger)
	}
	return nil
}

// drop takes the files out whose processes the archive holds, and those that
// came back after it held them. An error means that something is missing that may
// come again, or that what is there is of several boots of the machine.
func (s *Scanner) drop() error {
	s.leaveHeld()
	failed := s.forget()
	for name, t := range s.files {
		switch {
		case t.member == nil || t.live:
		case s.archive.Returned(t.id, t.file.Header().Start):
			s.leave(t)
			s.leaveOut(t, ErrReturned)
		case boot.Differ(t.file.Header().BootID, s.boot):
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

// forget drops the files that are not there any more, but for those that nobody
// absorbed: their values are part of totals that were shown, and without them
// these would dip. The owner of one may live and make it again. An error means that
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
		case t.member == nil, s.archive.Holds(t.id), s.archive.Returned(t.id, t.file.Header().Start):
			s.leave(t)
			delete(s.files, name)
			continue
		case t.where != s.where && (!t.live || now.Sub(s.since) > settleTime):
			// It went with its directory, and so did the archive: totals begin anew.
			s.leave(t)
			delete(s.files, name)
			continue
		case t.where != s.where:
			failed = fmt.Errorf("%s: %w", name, ErrGone)
		}
		if t.gone.IsZero() {
			t.gone = now
			s.rest(t)
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

// leave takes a file out of the totals and gives back what it held.
func (s *Scanner) leave(t *tracked) {
	if t.member != nil {
		s.merger.Leave(t.member)
	}
	s.close(t)
	s.forgetMemory(t)
	*t = tracked{name: t.name, id: t.id, seen: t.seen}
}

func (s *Scanner) close(t *tracked) {
	if t.file != nil {
		s.rest(t)
		t.file.Close()
	}
}

// read brings one file up to date. It returns an error only when that is
// impossible for the moment.
func (s *Scanner) read(t *tracked) error {
	if t.bad != nil && t.member == nil && same(t.badAs, s.source.Look(t.name)) {
		return nil
	}
	err := s.update(t)
	if errors.Is(err, reader.ErrReplaced) || err != nil && !Transient(err) {
		// Replaced by its owner, or damaged at first sight: what a second
		// reading from the beginning finds is proof.
		if !errors.Is(err, reader.ErrReplaced) {
			time.Sleep(proofDelay)
		}
		err = s.reread(t)
	}
	switch {
	case err == nil:
		t.bad = nil
		return nil
	case Vanished(err):
		t.seen = 0 // removed since it was listed
		return nil
	case Transient(err):
		s.readError(err)
		return err
	}
	if t.member != nil && t.where != s.where {
		s.leave(t) // its last good values went with the directory that they were read in
	}
	s.leaveOut(t, err)
	return nil
}

// leaveOut notes that a file is not read until it changes.
func (s *Scanner) leaveOut(t *tracked, err error) {
	if t.bad == nil {
		s.readError(err)
		s.log.Warn("mpmetrics: file is left out", "file", t.name, "reason", ReasonOf(err), "err", err)
	}
	t.bad, t.badAs, t.live = err, s.source.Look(t.name), false
}

// same reports whether a file is what it was. Its owner's stores into mapped
// memory may not show, but they do not heal a file either.
func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// reread opens the file anew. What an earlier reading found is kept if that
// fails: the last good values of a file that was damaged under its owner.
func (s *Scanner) reread(t *tracked) error {
	fresh := &tracked{name: t.name, id: t.id, seen: t.seen}
	err := s.update(fresh)
	for try := 1; try < maxTries && errors.Is(err, reader.ErrReplaced); try++ {
		// Its owner wrote the log anew once more, between two looks at the header.
		s.close(fresh)
		*fresh = tracked{name: t.name, id: t.id, seen: t.seen}
		err = s.update(fresh)
	}
	if err != nil {
		s.close(fresh)
		return err
	}
	s.leave(t)
	*t = *fresh
	return nil
}

// update reads on from where the last reading stopped. The merger learns of it
// last, when nothing can fail any more.
func (s *Scanner) update(t *tracked) error {
	if t.file != nil && t.file.Final() {
		return nil
	}
	got := t.fetched
	t.fetched = fetched{}
	if !got.done {
		got = s.fetch(t)
	}
	if got.probed && t.member != nil {
		// Also when nothing more can be read: the live gauges of a damaged
		// file leave with its owner.
		s.merger.SetLive(t.member, got.live)
	}
	if got.err != nil {
		return got.err
	}
	if !got.live && (t.live || t.died.IsZero()) { // on a server the dead are looked at again
		t.died = time.Now()
	}
	t.values, t.natives, t.live, t.where = got.values, t.file.Natives(), got.live, s.where
	s.join(t)
	if !t.live {
		s.rest(t)
		t.file.Finish()
	}
	return nil
}

// join passes on to the merger what is new in a file.
func (s *Scanner) join(t *tracked) {
	h := t.file.Header()
	if t.member == nil {
		t.member = s.merger.Join(merge.Process{ID: h.ID, Start: h.Start, Label: h.Process, Live: t.live})
	}
	families, entries := t.file.Families(), t.file.Entries()
	known := t.member.Inputs()
	if t.file.Gone() != t.removed {
		t.removed = t.file.Gone()
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

// Add adds the values of all files up, after merger.Begin.
func (s *Scanner) Add() {
	s.values = s.values[:0]
	for _, t := range s.files {
		if t.member != nil {
			s.values = append(s.values, merge.Values{Member: t.member, Words: t.values})
		}
	}
	s.merger.AddAll(s.values, s.source.Readers())
	for _, t := range s.files {
		if t.member == nil {
			continue
		}
		for i, n := range t.natives {
			s.merger.AddNative(t.member, i, n)
		}
		for name, all := range t.file.Exemplars() {
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

// Close gives everything back.
func (s *Scanner) Close() {
	for name, t := range s.files {
		s.leave(t)
		delete(s.files, name)
	}
	s.archive.Close()
}

// Found is what a scan found.
type Found struct {
	Live, Dead, Unreadable int            // files
	Kept                   int            // files that are damaged or missing, whose last good values take part
	Skipped                map[Reason]int // of the unreadable and the kept, those that are there
	Bytes                  int64          // of those that could be read, and the archive
	OldestDead             time.Time      // when the first of the dead was met; zero without
}

// Found counts what there is.
func (s *Scanner) Found() Found {
	f := Found{Skipped: map[Reason]int{}}
	for _, t := range s.files {
		missing := t.seen != s.round
		if !missing && t.bad != nil {
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
		case t.bad != nil || t.file == nil:
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
		f.Bytes += t.file.Size()
	}
	f.Bytes += s.archive.Size
	return f
}
