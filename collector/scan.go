package collector

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// maxDescriptors bounds the files that are kept open between scrapes: a service
// must not run out of descriptors because it has many processes. Those beyond
// are opened again at each scrape, for some microseconds each.
const maxDescriptors = 48

// proofDelay is the moment between two readings that prove damage: a file that
// was being replaced is read whole by the second.
const proofDelay = time.Millisecond

// scanner keeps track of the files of a directory. It is guarded by the
// collector's mu.
type scanner struct {
	dir    string
	merger *merge.Merger
	log    *slog.Logger
	totals *totals

	files map[string]*tracked
	round int
}

// tracked is one file.
type tracked struct {
	path   string
	file   *reader.File  // nil while it cannot be read at all
	member *merge.Member // nil until it was read once
	values []uint64      // last good ones, the file's own
	seen   int           // round of the scan that listed it
	live   bool
	bad    error       // why it is not read: proven, not transient
	badAs  os.FileInfo // the file as it was then: not read again while it is so

	families int // passed on to the merger
	gone     int // likewise
}

func newScanner(dir string, m *merge.Merger, log *slog.Logger, t *totals) *scanner {
	return &scanner{dir: dir, merger: m, log: log, totals: t, files: map[string]*tracked{}}
}

// scan reads every file there is. An error means that something could not be
// read for the moment, so that a total would be short.
func (s *scanner) scan() error {
	s.round++
	sub, err := directory.Find(s.dir)
	if err != nil && !vanished(err) {
		s.totals.readError(err)
		return err
	}
	var names []string
	if err == nil {
		if names, err = directory.List(sub); err != nil {
			s.totals.readError(err)
			return err
		}
	}
	var failed error
	for _, name := range names {
		t := s.files[name]
		if t == nil {
			if _, _, err := layout.ParseFileName(name); err != nil {
				continue // not ours: never touched
			}
			t = &tracked{path: filepath.Join(sub, name)}
			s.files[name] = t
		}
		t.seen = s.round
		if err := s.read(t); err != nil {
			failed = err
		}
	}
	s.forget()
	return failed
}

// forget drops the files that were not listed or have vanished, and gives
// descriptors back.
func (s *scanner) forget() {
	open := 0
	for name, t := range s.files {
		switch {
		case t.seen != s.round:
			s.drop(t)
			delete(s.files, name)
		case t.file != nil && !t.file.Resting():
			if open++; open > maxDescriptors {
				t.file.Rest()
			}
		}
	}
}

func (s *scanner) drop(t *tracked) {
	if t.member != nil {
		s.merger.Leave(t.member)
	}
	if t.file != nil {
		t.file.Close()
	}
	*t = tracked{path: t.path, seen: t.seen}
}

// read brings one file up to date. It returns an error only when that is
// impossible for the moment.
func (s *scanner) read(t *tracked) error {
	if t.bad != nil && t.member == nil && same(t.badAs, look(t.path)) {
		return nil
	}
	err := s.update(t)
	if errors.Is(err, reader.ErrReplaced) || err != nil && !transient(err) && !vanished(err) {
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
	case vanished(err):
		t.seen = 0 // deleted since it was listed
		return nil
	case transient(err):
		s.totals.readError(err)
		return err
	}
	if t.bad == nil {
		s.totals.readError(err)
		s.log.Warn("mpmetrics: file is left out", "file", t.path, "reason", reasonOf(err), "err", err)
	}
	t.bad, t.badAs, t.live = err, look(t.path), false
	return nil
}

// look returns what the file system says of a file, nil if nothing.
func look(path string) os.FileInfo {
	info, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	return info
}

// same reports whether a file is what it was. Its owner's stores into mapped
// memory may not show, but they do not heal a file either.
func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// reread opens the file anew. What an earlier reading found is kept if that
// fails: the last good values of a file that was damaged under its owner.
func (s *scanner) reread(t *tracked) error {
	fresh := &tracked{path: t.path, seen: t.seen}
	if err := s.update(fresh); err != nil {
		if fresh.file != nil {
			fresh.file.Close()
		}
		return err
	}
	s.drop(t)
	*t = *fresh
	return nil
}

// update reads on from where the last reading stopped. The merger learns of it
// last, when nothing can fail any more.
func (s *scanner) update(t *tracked) error {
	if t.file == nil {
		f, err := reader.Open(t.path)
		if err != nil {
			return err
		}
		t.file = f
	} else if t.file.Final() {
		return nil
	} else if err := t.file.Reopen(); err != nil {
		return err
	}
	// The probe comes first: what is read after it said dead is final.
	live, err := t.file.Live()
	if err != nil {
		return err
	}
	if t.member != nil {
		// Also when nothing more can be read: the live gauges of a damaged
		// file leave with its owner.
		s.merger.SetLive(t.member, live)
	}
	if err := t.file.Refresh(); err != nil {
		return err
	}
	values, err := t.file.Load()
	if err != nil {
		return err
	}
	t.values, t.live = values, live
	s.join(t)
	if !live {
		t.file.Finish()
	}
	return nil
}

// join passes on to the merger what is new in a file.
func (s *scanner) join(t *tracked) {
	h := t.file.Header()
	if t.member == nil {
		t.member = s.merger.Join(merge.Process{ID: h.ID, Start: h.Start, Label: h.Process, Live: t.live})
	}
	families, entries := t.file.Families(), t.file.Entries()
	known := t.member.Inputs()
	if t.file.Gone() != t.gone {
		t.gone = t.file.Gone()
		for i, e := range entries[:known] {
			if e.Gone {
				s.merger.Remove(t.member, i)
			}
		}
	}
	if len(families) == t.families && len(entries) == known {
		return
	}
	inputs := make([]merge.Input, 0, len(entries)-known)
	for _, e := range entries[known:] {
		inputs = append(inputs, merge.Input{Family: e.Family, Values: e.Values, Created: e.Created, At: e.At, Gone: e.Gone})
	}
	s.merger.Extend(t.member, families[t.families:], inputs)
	t.families = len(families)
}

// add adds the values of all files up.
func (s *scanner) add() {
	for _, t := range s.files {
		if t.member != nil {
			s.merger.Add(t.member, t.values)
		}
	}
}

// state counts what there is.
func (s *scanner) state() state {
	st := state{
		up:        true,
		processes: map[string]int{"live": 0, "dead": 0},
		files:     map[string]int{"live": 0, "dead": 0, "unreadable": 0},
	}
	for _, t := range s.files {
		switch {
		case t.bad != nil || t.file == nil:
			st.files["unreadable"]++
			continue
		case t.live:
			st.files["live"]++
			st.processes["live"]++
		default:
			st.files["dead"]++
			st.processes["dead"]++
		}
		st.bytes += t.file.Size()
	}
	return st
}

func (s *scanner) close() {
	for name, t := range s.files {
		s.drop(t)
		delete(s.files, name)
	}
}

// reason is a label value: why a file could not be read.
type reason string

const (
	reasonDamaged   reason = "damaged"
	reasonForeign   reason = "foreign"
	reasonVersion   reason = "version"
	reasonByteOrder reason = "byte_order"
	reasonCopy      reason = "copy"
	reasonRefused   reason = "refused"
	reasonBusy      reason = "busy"
	reasonIO        reason = "io"
)

var reasons = []reason{
	reasonDamaged, reasonForeign, reasonVersion, reasonByteOrder, reasonCopy, reasonRefused, reasonBusy, reasonIO,
}

// reasonOf sorts an error of the reader.
func reasonOf(err error) reason {
	for _, r := range []struct {
		is     error
		reason reason
	}{
		{layout.ErrVersion, reasonVersion},
		{layout.ErrByteOrder, reasonByteOrder},
		{layout.ErrForeign, reasonForeign},
		{layout.ErrDamaged, reasonDamaged},
		{reader.ErrCopy, reasonCopy},
		{reader.ErrReplaced, reasonBusy},
		{reader.ErrBusy, reasonBusy},
		{directory.ErrRefused, reasonRefused},
	} {
		if errors.Is(err, r.is) {
			return r.reason
		}
	}
	return reasonIO
}
