// Package serverview reads a namespace of a server: its partitions and its archive, as a
// scan merges them and as an absorption takes them.
package serverview

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"slices"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

const (
	// defaultTimeout leaves a scrape some time for the rest of the registry.
	defaultTimeout = 2 * time.Second

	// maxTries bounds the looks that an absorption came into.
	maxTries = 5

	// maxExchanges bounds a look by so many times the timeout of an exchange. The next
	// look does not read again what this one has read.
	maxExchanges = 4

	// readTogether bounds the partitions of one exchange: a server carries it out while
	// everybody else waits, and many large ones would never be read in time.
	readTogether = 16
)

// Source is the scan.Source that is a namespace of a server. A look reads everything,
// at a moment when no absorption was at work: partitions and archive belong together.
type Source struct {
	Server remote.Server // closed by Close

	// Grace is how many scans in a row may show what was read last because the server
	// does not answer.
	Grace int

	// DeadOnly leaves the partitions of the living unread until Read.
	DeadOnly bool

	// Timeout bounds one exchange with the server, and four times as long a look. 0: two
	// seconds.
	Timeout time.Duration

	// As of the last Look.
	epoch      string
	generation string
	losses     uint64 // how often the server lost what it had absorbed
	partitions map[layout.ID]*partition
	byName     map[string]*partition
	archive    *archive.Archive
	fields     map[string]string  // of the archive
	damaged    error              // why there is none
	silent     int                // scans in a row without an answer
	err        error              // why nothing was read
	ahead      time.Duration      // of this machine's clock, the server's
	lost       []remote.Partition // listed, not alive, and not there

	views  map[string]*view // by name, until the Scanner releases them
	memory scan.Budget      // of views

	// Of one snapshot; the room is used again.
	processes []scan.Process
	errs      []error
}

// partition is one as it was read.
type partition struct {
	ID       layout.ID
	name     string // as that of a file
	header   *layout.Header
	families map[string]string
	series   map[string]string
	values   map[string]string
	err      error // why there is no header
	live     bool
	gone     bool
	listed   uint64 // sequence by the last list; what was read is not older
	seq      uint64 // of what was read, if not of values alone
	changes  int    // how often any of it was read anew
	whole    bool   // it was read
	active   bool   // it changes from scan to scan
}

// read is the partition as it was read.
func (p *partition) read() remote.Partition {
	return remote.Partition{ID: p.ID, Live: p.live, Seq: p.seq}
}

func (p *partition) size() (n int64) {
	for _, hash := range []map[string]string{p.families, p.series, p.values} {
		for field, value := range hash {
			n += int64(len(field) + len(value))
		}
	}
	return n
}

// Snapshot implements scan.Source.
func (s *Source) Snapshot(ctx context.Context) (scan.Snapshot, error) {
	s.errs = s.errs[:0]
	if err := s.Look(ctx); s.byName == nil {
		s.errs = append(s.errs, err)
		return scan.Snapshot{Errs: s.errs}, err
	}
	found := scan.Snapshot{Place: s.place(), Archive: s.archive, Settled: true}
	s.processes = s.processes[:0]
	late := false
	for name, p := range s.byName {
		if late = late || ctx.Err() != nil; late {
			s.processes = append(s.processes, scan.Process{Name: name, ID: p.ID, Live: p.live, Err: scan.ErrDeadline})
			continue
		}
		process, err := s.process(ctx, p)
		switch {
		case scan.Vanished(err):
			continue
		case err != nil && scan.Transient(err):
			s.errs = append(s.errs, err)
			found.Incomplete = err
		}
		s.processes = append(s.processes, process)
	}
	if late {
		s.errs = append(s.errs, scan.ErrDeadline)
		found.Incomplete = scan.ErrDeadline
	}
	if s.damaged != nil {
		s.errs = append(s.errs, s.damaged)
		found.Archive, found.Settled, found.Incomplete = nil, false, s.damaged
	}
	found.Processes, found.Errs = s.processes, s.errs
	return found, nil
}

// process brings the view of a partition up to date. The Scanner goes on with the last
// good view if that fails.
func (s *Source) process(ctx context.Context, p *partition) (_ scan.Process, err error) {
	v := s.views[p.name]
	current := v != nil && v.part == p
	if current {
		err = v.update()
	}
	if !current || errors.Is(err, reader.ErrReplaced) || err != nil && !scan.Transient(err) {
		// From the beginning: what a view that was damaged has found is in doubt.
		var fresh *view
		if fresh, err = s.open(ctx, p); err == nil {
			err = fresh.update()
		}
		switch {
		case err == nil:
			if v != nil {
				s.release(v)
			}
			v = fresh
			if s.views == nil {
				s.views = map[string]*view{}
			}
			s.views[p.name] = v
		case fresh != nil:
			s.memory.GiveBack(&fresh.counted)
		}
	}
	found := scan.Process{Name: p.name, ID: p.ID, Live: p.live, Probed: v != nil && v.part == p, Err: err}
	switch {
	case v == nil:
	case err == nil:
		v.place = s.place()
		found.Reading, found.Values, found.Natives = v, v.values, v.Natives()
	case scan.Transient(err) || v.place == s.place():
		found.Reading = v
	default: // its last good values were in an archive that is lost
		s.release(v)
	}
	return found, err
}

// release gives back what is kept of a view.
func (s *Source) release(v *view) {
	if s.views[v.part.name] == v {
		delete(s.views, v.part.name)
	}
	s.memory.GiveBack(&v.counted)
}

// Close implements scan.Source: it ends all connections.
func (s *Source) Close() { s.Server.Close() }

// Look reads what there is now. An error is transient and means that nothing is known, or
// says that the archive is damaged.
func (s *Source) Look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, maxExchanges*cmp.Or(s.Timeout, defaultTimeout))
	defer cancel()
	err := s.look(ctx)
	switch {
	case err == nil:
		s.silent, s.err = 0, nil
	case s.byName != nil && s.silent < s.Grace && !errors.Is(err, scan.ErrChanging):
		s.silent++
	default:
		s.byName, s.err = nil, err
		return err
	}
	return s.damaged
}

// exchange bounds one exchange.
func (s *Source) exchange(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout))
}

// list is one look at the server.
func (s *Source) list(ctx context.Context, values []layout.ID) (*remote.State, error) {
	ctx, cancel := s.exchange(ctx)
	defer cancel()
	return s.Server.Look(ctx, values)
}

// forget takes all partitions for gone: whatever comes next is read anew.
func (s *Source) forget() {
	for _, p := range s.partitions {
		p.gone = true
	}
	s.partitions, s.byName = nil, nil
}

// look reads until no absorption came in between.
func (s *Source) look(ctx context.Context) error {
	for range maxTries {
		var want []layout.ID
		if !s.DeadOnly {
			for id, p := range s.partitions {
				if p.whole && p.active {
					want = append(want, id)
				}
			}
		}
		state, err := s.list(ctx, want)
		if err != nil {
			return err
		}
		s.ahead = time.Until(state.Now)
		generation := state.Generation
		if state.Epoch != s.epoch {
			s.forget()
			s.epoch, s.archive, s.fields = state.Epoch, nil, nil
			s.losses++ // also if it comes to have it again
		}
		if s.archive == nil || generation != s.generation {
			if generation, err = s.readArchive(ctx); err != nil {
				return err
			}
		}
		stable := state.Stable && generation == state.Generation
		if stable {
			if stable, err = s.take(ctx, state); err != nil {
				return err
			}
		}
		if stable {
			return nil
		}
	}
	return fmt.Errorf("%w: archive", scan.ErrChanging)
}

// readArchive reads the archive. One that cannot be decoded is an error of every
// Look until it is replaced.
func (s *Source) readArchive(ctx context.Context) (generation string, err error) {
	ctx, cancel := s.exchange(ctx)
	defer cancel()
	a, err := s.Server.Archive(ctx)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(a.Generation))
	id := layout.ID(digest[:len(layout.ID{})])
	decoded, err := archive.FromFields(a.Fields, id)
	s.damaged = nil
	if err != nil {
		decoded, s.damaged = archive.New(), &fs.PathError{Op: "read archive", Path: archiveName, Err: err}
	}
	if s.archive != nil && err == nil && !decoded.Follows(s.archive) {
		// What was absorbed since is not, and the partitions that their processes began
		// then are not there: nobody will absorb these.
		s.forget()
		s.losses++
	}
	s.archive, s.fields, s.generation = decoded, a.Fields, a.Generation
	return a.Generation, nil
}

// archiveName is what errors call the archive.
const archiveName = "archive"

// take takes what a look has found, and reads what it lacks. It reports false when an
// absorption came in between.
func (s *Source) take(ctx context.Context, state *remote.State) (stable bool, err error) {
	partitions := make(map[layout.ID]*partition, len(state.Partitions))
	var reads []remote.Read
	for _, listed := range state.Partitions {
		p := s.partitions[listed.ID]
		if p == nil || p.gone {
			p = &partition{ID: listed.ID}
		}
		partitions[listed.ID] = p
		p.live = listed.Live
		values, looked := state.Values[listed.ID]
		p.active = p.listed != listed.Seq
		switch {
		case !p.whole:
			reads = append(reads, remote.Read{ID: listed.ID, Whole: !s.DeadOnly || !listed.Live})
		case s.DeadOnly && listed.Live:
		case !looked && !p.active:
		case !looked:
			reads = append(reads, remote.Read{ID: listed.ID, Blocks: []string{}})
		default:
			if blocks := p.missing(values); blocks != nil {
				reads = append(reads, remote.Read{ID: listed.ID, Blocks: blocks})
				break
			}
			p.values = values
			p.changes++
		}
	}
	for id, p := range s.partitions {
		if partitions[id] != p {
			p.gone = true
		}
	}
	s.partitions = partitions // also if not all of them can be read now
	// Blocks that lack their series for good are that partition's matter.
	for tries := 0; len(reads) > 0 && tries < maxTries; tries++ {
		if reads, err = s.readAll(ctx, partitions, reads); err != nil {
			return false, err
		}
		again, err := s.list(ctx, nil)
		if err != nil {
			return false, err
		}
		if again.Generation != state.Generation || again.Epoch != state.Epoch {
			return false, nil
		}
	}
	for _, listed := range state.Partitions {
		p := partitions[listed.ID]
		p.listed = max(p.listed, listed.Seq)
	}
	s.byName = make(map[string]*partition, len(partitions))
	s.lost = nil
	for id, p := range partitions {
		if p.gone {
			delete(partitions, id)
			if !p.live {
				s.lost = append(s.lost, p.read())
			}
			continue
		}
		s.byName[p.name] = p
	}
	return true, nil
}

// readAll reads partitions, and returns what still has to be read: values of blocks
// whose series have changed.
func (s *Source) readAll(ctx context.Context, partitions map[layout.ID]*partition, reads []remote.Read) (more []remote.Read, err error) {
	for part := range slices.Chunk(reads, readTogether) {
		again, err := s.readSome(ctx, partitions, part)
		if err != nil {
			return nil, err
		}
		more = append(more, again...)
	}
	return more, nil
}

// readSome is readAll in one exchange.
func (s *Source) readSome(ctx context.Context, partitions map[layout.ID]*partition, reads []remote.Read) (more []remote.Read, err error) {
	ctx, cancel := s.exchange(ctx)
	defer cancel()
	contents, err := s.Server.Read(ctx, reads)
	if err != nil {
		return nil, err
	}
	for i, c := range contents {
		p := partitions[reads[i].ID]
		if c.Header == "" || c.Absorption != "" || c.Taken || c.Stale {
			p.gone, p.seq = true, c.Seq // it was dropped, or is about to leave the list, or should
			continue
		}
		p.takeHeader(&c)
		p.seq = c.Seq
		if !reads[i].Whole && reads[i].Blocks == nil {
			continue
		}
		p.takeContent(&c, reads[i].Whole)
		p.listed = c.Seq
		// What was read at one instant and does not fit is damaged, and is not read again.
		blocks := slices.DeleteFunc(p.missing(p.values), func(block string) bool { return slices.Contains(reads[i].Blocks, block) })
		if len(blocks) > 0 && !reads[i].Whole {
			more = append(more, remote.Read{ID: reads[i].ID, Blocks: append(blocks, reads[i].Blocks...)})
		}
	}
	return more, nil
}

// takeHeader takes the header.
func (p *partition) takeHeader(c *remote.Content) {
	h, err := layout.DecodeHeader([]byte(c.Header))
	if err != nil {
		h = &layout.Header{ID: p.ID, PID: 1}
	}
	// The boot of a machine says nothing about what a server keeps.
	h.BootID, h.Start = "", c.Start
	p.name = layout.FileName(int(h.PID), p.ID)
	if err == nil && h.ID != p.ID {
		err = fmt.Errorf("header of %v: %w", h.ID, layout.ErrDamaged)
	}
	if err == nil && c.Lacks {
		err = fmt.Errorf("part of it was dropped: %w", layout.ErrDamaged)
	}
	p.header, p.err = h, nil
	if err != nil {
		p.err = &fs.PathError{Op: "read header", Path: p.name, Err: err}
	}
}

func (p *partition) takeContent(c *remote.Content, whole bool) {
	p.changes++
	p.values, p.families, p.whole = c.Values, c.Families, true
	if whole {
		p.series = c.Series
		return
	}
	p.series = remote.Union(p.series, c.Series)
}

// missing returns the blocks whose series are of another version than their values.
// nil: none.
func (p *partition) missing(values map[string]string) (blocks []string) {
	for field, value := range values {
		if !remote.IsBlock(field) {
			continue
		}
		want, err := layout.VersionOf([]byte(value))
		has, hasErr := layout.VersionOf([]byte(p.series[field]))
		if err == nil && (hasErr != nil || has != want) {
			blocks = append(blocks, field)
		}
	}
	return blocks
}

// Partition returns a partition by its name, as it was read.
func (s *Source) Partition(name string) (p remote.Partition, there bool) {
	found := s.byName[name]
	if found == nil {
		return remote.Partition{}, false
	}
	return found.read(), true
}

// Base returns what an absorption is based on: the fields of the archive, and when
// they were read.
func (s *Source) Base() (epoch, generation string, fields map[string]string) {
	return s.epoch, s.generation, s.fields
}

// Lost are the partitions that are listed although there is nothing of them.
func (s *Source) Lost() []remote.Partition { return s.lost }

// Ahead is how far the server's clock is ahead of this machine's.
func (s *Source) Ahead() time.Duration { return s.ahead }

// place identifies what the server has: another one after it lost something.
func (s *Source) place() uint64 {
	if s.epoch == "" {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(s.epoch))
	return h.Sum64() + s.losses
}

// Names are the names of all partitions.
func (s *Source) Names() ([]string, error) {
	if s.err != nil {
		return nil, s.err
	}
	names := make([]string, 0, len(s.byName))
	for name := range s.byName {
		names = append(names, name)
	}
	return names, nil
}

// Header returns the header of a partition.
func (s *Source) Header(name string) (*layout.Header, error) {
	p := s.byName[name]
	if p == nil {
		return nil, &fs.PathError{Op: "read header", Path: name, Err: fs.ErrNotExist}
	}
	return p.header, p.err
}

// Read reads a partition whole.
func (s *Source) Read(ctx context.Context, name string) (scan.Process, error) {
	p := s.byName[name]
	if p == nil {
		return scan.Process{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	v, err := s.open(ctx, p)
	if err == nil {
		err = v.update()
	}
	if err != nil {
		return scan.Process{}, err
	}
	s.memory.GiveBack(&v.counted) // nothing is kept
	return scan.Process{Name: p.name, ID: p.ID, Reading: v, Values: v.values, Natives: v.Natives(), Live: p.live, Probed: true}, nil
}

// open makes a view of a partition, and reads the partition unless it was read.
func (s *Source) open(ctx context.Context, p *partition) (*view, error) {
	if !p.whole && p.err == nil {
		ctx, cancel := s.exchange(ctx)
		defer cancel()
		if _, err := s.readAll(ctx, s.partitions, []remote.Read{{ID: p.ID, Whole: true}}); err != nil {
			return nil, err
		}
		if p.gone {
			return nil, &fs.PathError{Op: "open", Path: p.name, Err: fs.ErrNotExist}
		}
	}
	if p.err != nil {
		return nil, p.err
	}
	v := newView(p)
	v.of = s
	return v, nil
}

// Archive returns the archive as it was read, or why there is none.
func (s *Source) Archive() (*archive.Archive, error) {
	if s.damaged != nil {
		return nil, s.damaged
	}
	return s.archive, nil
}
