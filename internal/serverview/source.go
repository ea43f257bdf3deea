// Package serverview reads the partitions and the archive of a namespace on a server, for scans and
// for absorptions.
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
	// defaultTimeout leaves time in a scrape for the rest of the registry.
	defaultTimeout = 2 * time.Second

	// maxTries bounds the looks that an absorption interrupts.
	maxTries = 5

	// maxExchanges bounds a look by a multiple of the timeout of an exchange. The next look goes on
	// with the partitions that are still unread.
	maxExchanges = 4

	// readTogether bounds the partitions in one exchange. All other clients wait while the server
	// carries an exchange out, and many large partitions would exceed the timeout.
	readTogether = 16
)

// Source is the scan.Source for a namespace of a server. A look reads everything at a moment
// without an absorption, so that partitions and archive belong together.
type Source struct {
	Server remote.Server // closed by Close

	// Grace is the number of scans in a row that may show the last values of a silent server.
	Grace int

	// DeadOnly leaves the partitions of live processes unread until Read.
	DeadOnly bool

	// Timeout bounds one exchange with the server. A look takes at most four times the timeout. 0:
	// two seconds.
	Timeout time.Duration

	// State of the last Look.
	epoch      string
	generation string
	losses     uint64 // how often the server lost absorbed processes
	partitions map[layout.ID]*partition
	byName     map[string]*partition
	archive    *archive.Archive
	fields     map[string]string  // of the archive
	damaged    error              // why the archive is empty; nil: the archive is good
	silent     int                // scans in a row without an answer
	err        error              // why no partition was read
	ahead      time.Duration      // how far the server's clock is ahead of the clock of the machine
	lost       []remote.Partition // partitions that are listed, dead and missing

	views  map[string]*view // by name, until the Scanner releases them
	memory scan.Budget      // of views

	// For one snapshot; the next snapshot uses the memory again.
	processes []scan.Process
	errs      []error
}

// partition is a partition as last read.
type partition struct {
	ID       layout.ID
	name     string // as the name of a file
	header   *layout.Header
	families map[string]string
	series   map[string]string
	values   map[string]string
	err      error // why the header is invalid
	live     bool
	gone     bool
	listed   uint64 // sequence by the last list; the content is at least as new
	seq      uint64 // sequence of the content, except a reading of values alone
	changes  int    // how often content was read
	whole    bool   // series and families were read
	active   bool   // the process changes its partition from scan to scan
}

// read returns the partition as listed, with the sequence of the content.
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

// process brings the view of a partition up to date. If the update fails, the Scanner goes on with
// the last good view.
func (s *Source) process(ctx context.Context, p *partition) (_ scan.Process, err error) {
	v := s.views[p.name]
	current := v != nil && v.part == p
	if current {
		err = v.update()
	}
	if !current || errors.Is(err, reader.ErrReplaced) || err != nil && !scan.Transient(err) {
		// Read from the beginning: a damaged view may have found anything.
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
	default: // the last good values were in an archive that is lost
		s.release(v)
	}
	return found, err
}

// release gives back the memory of a view.
func (s *Source) release(v *view) {
	if s.views[v.part.name] == v {
		delete(s.views, v.part.name)
	}
	s.memory.GiveBack(&v.counted)
}

// Close implements scan.Source, and ends all connections.
func (s *Source) Close() { s.Server.Close() }

// Look reads the current state. After a transient error nothing is known. Any other error says that
// the archive is damaged.
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

// exchange bounds one exchange by the timeout.
func (s *Source) exchange(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, cmp.Or(s.Timeout, defaultTimeout))
}

// list lists the partitions, and reads the values of some, in one exchange.
func (s *Source) list(ctx context.Context, values []layout.ID) (*remote.State, error) {
	ctx, cancel := s.exchange(ctx)
	defer cancel()
	return s.Server.Look(ctx, values)
}

// forget marks all partitions as gone. The next look reads each partition from the beginning.
func (s *Source) forget() {
	for _, p := range s.partitions {
		p.gone = true
	}
	s.partitions, s.byName = nil, nil
}

// look reads until no absorption interrupts the reading.
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
			s.losses++ // even if the server gets the former archive back
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

// readArchive reads the archive. Until an undecodable archive is replaced, each Look returns the
// error.
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
		// The server went back to a state before an absorption. The archive lacks the processes
		// that were absorbed since. The partitions that those processes began afterwards are
		// missing, and no absorption will take them: their values must not be shown.
		s.forget()
		s.losses++
	}
	s.archive, s.fields, s.generation = decoded, a.Fields, a.Generation
	return a.Generation, nil
}

// archiveName is the name of the archive in errors.
const archiveName = "archive"

// take takes the result of a look, and reads the missing parts. It returns false if an absorption
// interrupted the reading.
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
	s.partitions = partitions // even if the reading of a partition fails now
	// If the series of a block never arrive, only the partition is damaged: stop after maxTries.
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

// readAll reads partitions. It returns the blocks of values whose series have to be read again.
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

// readSome is readAll for one exchange.
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
			p.gone, p.seq = true, c.Seq // dropped, absorbed, or about to leave the list
			continue
		}
		p.takeHeader(&c)
		p.seq = c.Seq
		if !reads[i].Whole && reads[i].Blocks == nil {
			continue
		}
		p.takeContent(&c, reads[i].Whole)
		p.listed = c.Seq
		// Series and values of one instant that do not fit are damaged: do not read the block
		// again.
		blocks := slices.DeleteFunc(p.missing(p.values), func(block string) bool { return slices.Contains(reads[i].Blocks, block) })
		if len(blocks) > 0 && !reads[i].Whole {
			more = append(more, remote.Read{ID: reads[i].ID, Blocks: append(blocks, reads[i].Blocks...)})
		}
	}
	return more, nil
}

// takeHeader decodes the header.
func (p *partition) takeHeader(c *remote.Content) {
	h, err := layout.DecodeHeader([]byte(c.Header))
	if err != nil {
		h = &layout.Header{ID: p.ID, PID: 1}
	}
	// A partition outlives the boot of a machine.
	h.BootID, h.Start = "", c.Start
	p.name = layout.FileName(int(h.PID), p.ID)
	if err == nil && h.ID != p.ID {
		err = fmt.Errorf("header of %v: %w", h.ID, layout.ErrDamaged)
	}
	if err == nil && c.Lacks {
		err = fmt.Errorf("a hash was dropped: %w", layout.ErrDamaged)
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

// missing returns the blocks whose series and values differ in the version. nil: no block.
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

// Partition returns a partition by its name, as last read.
func (s *Source) Partition(name string) (p remote.Partition, there bool) {
	found := s.byName[name]
	if found == nil {
		return remote.Partition{}, false
	}
	return found.read(), true
}

// Base returns the state that an absorption is based on: epoch, generation and fields of the
// archive.
func (s *Source) Base() (epoch, generation string, fields map[string]string) {
	return s.epoch, s.generation, s.fields
}

// Lost returns the partitions that are listed, dead and missing.
func (s *Source) Lost() []remote.Partition { return s.lost }

// Ahead returns how far the server's clock is ahead of the clock of the machine.
func (s *Source) Ahead() time.Duration { return s.ahead }

// place identifies the content of the server. The place changes after the server has lost data.
func (s *Source) place() uint64 {
	if s.epoch == "" {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(s.epoch))
	return h.Sum64() + s.losses
}

// Names returns the names of all partitions.
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

// Read reads a whole partition.
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
	s.memory.GiveBack(&v.counted) // no scan uses the view
	return scan.Process{Name: p.name, ID: p.ID, Reading: v, Values: v.values, Natives: v.Natives(), Live: p.live, Probed: true}, nil
}

// open makes a view of a partition, and reads an unread partition.
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

// Archive returns the archive as last read, or the reason for a missing archive.
func (s *Source) Archive() (*archive.Archive, error) {
	if s.damaged != nil {
		return nil, s.damaged
	}
	return s.archive, nil
}
