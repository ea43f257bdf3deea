// Package compact absorbs dead processes: what they have counted moves from
// their files into the archive, exactly once, and the files are removed.
//
// For most uses there is nothing to do: a collector absorbs by itself what it
// meets dead, and so does a process that finds many dead files when it opens its
// store. Run does it by hand, for instance as the last step of a shutdown.
package compact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/location"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/pace"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

var (
	// ErrBusy is returned when another absorption is at work.
	ErrBusy error // set below: documentation shows no internal package

	// ErrNewer is returned when the archive is of a format that this program does
	// not know. It is left alone; only a program that knows it can absorb.
	ErrNewer = errors.New("the archive is of another format")
)

func init() { ErrBusy = archive.ErrBusy }

const (
	// batchFiles bounds the files that one archive takes: the work that a crash
	// before the rename makes void.
	batchFiles = 256

	// idRetention is how long the id of an absorbed process is kept at least,
	// longer than any scrape runs. pruneSlack keeps an archive from being written
	// anew for each id that comes of age.
	idRetention = time.Hour
	pruneSlack  = 10 * time.Minute
)

// Run absorbs all dead processes of a shared directory, the one that is
// configured for their stores. No process has to stop for it, and it may be killed
// at any instruction: the next run finishes the work.
//
//  1. Lock compact.lock without waiting. Another absorption: ErrBusy, at once.
//  2. Probe each file with a shared lock for a moment. A file whose lock is free and
//     that still is at its path has a dead owner, for ever.
//  3. If the archive holds the id of the process already, its file is only to be
//     removed: an absorption was cut off after the rename.
//  4. Read the file. Proven damage puts it into quarantine; an error that says
//     nothing about the file leaves it for the next time.
//  5. Write the archive with the old values, theirs, and their ids under another
//     name; sync it; rename it over archive.mpm; sync the directory. The rename
//     decides: before it nothing has happened, after it all of them are absorbed.
//  6. Remove the files that are absorbed.
//
// The context is obeyed between files. Absorbing goes in batches of 256 files
// with pauses in between, see Opts.CoreShare; an absorbed batch stays absorbed
// when a later one fails. A missing directory is an error that wraps
// fs.ErrNotExist.
//
// A URL in the place of the directory, such as redis://host:6379/0?namespace=shop, is
// the namespace of a server. Steps 5 and 6 are then one exchange that the server carries
// out at once, if the archive in place and the dead are still as they were read: ErrBusy
// otherwise.
func Run(ctx context.Context, location string, o Opts) (Report, error) {
	if err := o.check(); err != nil {
		return Report{}, fmt.Errorf("absorb: %w", err)
	}
	w, done, err := open(location, o)
	if err != nil {
		return Report{}, fmt.Errorf("absorb: %w", err)
	}
	defer done()
	return run(ctx, w, o)
}

// open finds the world that a location names.
func open(text string, o Opts) (w world, done func(), err error) {
	l, err := location.Parse(text)
	if err != nil {
		return nil, nil, err
	}
	switch l.Kind() {
	case location.Server:
		w, err := connect(l, o.Logger)
		if err != nil {
			return nil, nil, err
		}
		return w, w.source.Close, nil
	case location.Directory:
		w, err := find(l.Dir(), o)
		return w, func() {}, err
	}
	return nil, nil, &fs.PathError{Op: "find dead processes", Path: l.String(), Err: fs.ErrNotExist}
}

func run(ctx context.Context, w world, o Opts) (Report, error) {
	c := &compactor{world: w, opts: o.withDefaults(), left: map[string]bool{}, known: map[string]bool{}}
	err := c.run(ctx)
	if err != nil {
		return c.report, fmt.Errorf("absorb: %w", err)
	}
	return c.report, nil
}

// compactor is one Run.
type compactor struct {
	world
	opts    Opts
	report  Report
	archive *archive.Archive // as it is in place, or would be if that is damaged
	begin   string           // why totals begin anew with the next archive; empty: they do not
	left    map[string]bool  // files that are in the report already; true: they may be read later
	known   map[string]bool  // files that were found dead: they need no other probe
	others  int              // files that were not, or are left
}

func (c *compactor) run(ctx context.Context) error {
	unlock, err := c.lock(ctx) // (1)
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.load(); err != nil {
		return err
	}
	c.report.Temporary = c.clean(ctx)
	for {
		start := time.Now()
		waiting, err := c.batch(ctx)
		took := time.Since(start)
		c.report.Took += took
		if err != nil || waiting == 0 {
			return err
		}
		if err := c.pause(ctx, took, waiting); err != nil {
			return err
		}
	}
}

// load reads the archive. A damaged one will be put aside.
func (c *compactor) load() error {
	err := scan.Prove(func() (err error) {
		c.archive, err = c.readArchive()
		return err
	})
	if err == nil {
		c.note()
		return nil
	}
	switch scan.ReasonOf(err) {
	case scan.Version, scan.ByteOrder:
		return fmt.Errorf("%w: %w", ErrNewer, err)
	case scan.Damaged, scan.Foreign:
		c.archive = archive.New()
		// Any other than what a scrape may have noted of the old one.
		c.archive.Epoch = rand.Uint32()
		c.begin = err.Error()
		return nil
	}
	return err
}

// note keeps what the report says of the archive in place.
func (c *compactor) note() {
	c.report.Series, c.report.Bytes = c.archive.Ledger.Series(), c.archive.Size
}

// pause lets others have the core. Meanwhile more may die: it looks every now
// and then.
func (c *compactor) pause(ctx context.Context, took time.Duration, waiting int) error {
	const slice = 100 * time.Millisecond
	for begin := time.Now(); ; {
		left := pace.Pause(c.opts.CoreShare, took, waiting) - time.Since(begin)
		if left <= 0 {
			return ctx.Err()
		}
		select {
		case <-time.After(min(left, slice)):
		case <-ctx.Done():
			return ctx.Err()
		}
		names, err := c.list(ctx)
		if err != nil {
			return err
		}
		waiting = len(idsOf(names)) - c.others
	}
}

// batch absorbs up to batchFiles files and returns how many wait.
func (c *compactor) batch(ctx context.Context) (waiting int, err error) {
	found, err := c.look(ctx)
	if err != nil {
		return 0, err
	}
	if err := c.checkBoot(ctx, found); err != nil {
		return 0, err
	}
	batch := found.dead[:min(len(found.dead), batchFiles)]
	worth := c.report.Batches > 0 || c.begin != "" || len(found.dead) >= c.opts.MinDead
	if !worth {
		batch = nil // the rest may still be
	}
	found.waiting = found.dead[len(batch):]
	p := &plan{listing: found}
	for _, name := range batch {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		c.take(ctx, p, name)
	}
	c.putAside(ctx, p)
	c.beginAnew(p)
	c.absorb(p)
	if err := c.housekeeping(ctx, p); err != nil {
		return 0, err
	}
	if err := c.finish(ctx, p); err != nil {
		return 0, err
	}
	if worth {
		waiting = len(found.waiting)
	}
	return waiting, nil
}

// listing is what a look at the directory finds.
type listing struct {
	live     []string // and files of which it could not be told
	absorbed []string // dead, and their ids are in the archive
	dead     []string // all others
	waiting  []string // dead, for a later batch
}

// look probes every file.
func (c *compactor) look(ctx context.Context) (*listing, error) {
	names, err := c.list(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	found := &listing{}
	for _, name := range names {
		_, id, err := layout.ParseFileName(name)
		if err != nil {
			continue // not ours: never touched
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, left := c.left[name]; left {
			continue
		}
		dead := c.known[name]
		if !dead {
			dead, err = c.dead(name) // (2)
		}
		switch {
		case scan.Vanished(err):
		case err != nil:
			c.leave(name, err)
		case !dead:
			found.live = append(found.live, name)
		case c.archive.Holds(id): // (3)
			found.absorbed = append(found.absorbed, name)
		default:
			c.known[name] = true
			found.dead = append(found.dead, name)
		}
	}
	c.others = len(found.live) + len(c.left)
	return found, nil
}

// plan is what a batch does.
type plan struct {
	*listing
	processes  []*taken
	quarantine []LeftFile
	changed    bool // the archive has to be written
}

// taken is a dead process that was read.
type taken struct {
	name string
	*process
}

// take reads a file: step 4.
func (c *compactor) take(ctx context.Context, p *plan, name string) {
	var read *process
	err := scan.Prove(func() (err error) {
		read, err = c.read(ctx, name)
		return err
	})
	if err == nil && c.archive.Returned(read.header.ID, read.header.Start) {
		err = scan.ErrReturned
	}
	switch reason := scan.ReasonOf(err); {
	case err == nil:
		p.processes = append(p.processes, &taken{name, read})
	case scan.Vanished(err):
	case reason == scan.Damaged, reason == scan.Foreign, reason == scan.Copy, reason == scan.Returned:
		p.quarantine = append(p.quarantine, LeftFile{Name: name, Reason: string(reason), Err: err})
	default:
		c.leave(name, err)
	}
}

// leave notes a file that stays.
func (c *compactor) leave(name string, err error) {
	c.left[name] = scan.Transient(err)
	c.report.Left = append(c.report.Left, LeftFile{Name: name, Reason: string(scan.ReasonOf(err)), Err: err})
}

// checkBoot looks whether something of an earlier boot of the machine may be
// missing: the last seconds of a file, or a whole file. Totals that go on from
// there would be lower than they were.
func (c *compactor) checkBoot(ctx context.Context, found *listing) error {
	now := c.boot()
	if c.begin != "" || c.archive.Exists() && !boot.Differ(c.archive.BootID, now) {
		return nil // they begin anew, or have done so: what comes now is late
	}
	there := idsOf(found.live, found.absorbed, found.dead, c.leftNames())
	if c.archive.Lost(there) {
		c.begin = "files of an earlier boot of the machine are missing"
		return nil
	}
	for _, name := range found.dead {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := c.header(name)
		if err == nil && boot.Differ(h.BootID, now) {
			c.begin = "files of an earlier boot of the machine were not absorbed, their last seconds may be missing"
			return nil
		}
	}
	return nil
}

func (c *compactor) leftNames() []string { return slices.Collect(maps.Keys(c.left)) }

// beginAnew takes the processes of an earlier boot out, and empties the archive
// if totals begin anew.
func (c *compactor) beginAnew(p *plan) {
	now := c.boot()
	p.processes = slices.DeleteFunc(p.processes, func(t *taken) bool {
		if !boot.Differ(t.header.BootID, now) {
			return false
		}
		p.quarantine = append(p.quarantine, LeftFile{Name: t.name, Reason: string(scan.Boot), Err: errors.New("file of an earlier boot of the machine")})
		return true
	})
	if c.begin == "" {
		return
	}
	p.changed = true
	c.archive.Ledger = merge.NewLedger()
	c.archive.Begun = c.now().UnixNano()
	c.archive.Aside++
	c.archive.Epoch++
}

// putAside moves what was found damaged in step 4 to quarantine. None of it is in
// the totals, so it does not wait for the archive.
func (c *compactor) putAside(ctx context.Context, p *plan) {
	p.quarantine = slices.DeleteFunc(p.quarantine, func(f LeftFile) bool { return !c.putFileAside(ctx, f) })
	c.archive.Quarantined += uint64(len(p.quarantine))
	p.changed = p.changed || len(p.quarantine) > 0
	p.quarantine = nil
}

func (c *compactor) putFileAside(ctx context.Context, f LeftFile) bool {
	err := c.quarantine(ctx, f.Name, f.Reason+": "+f.Err.Error())
	switch {
	case scan.Vanished(err):
		return false
	case err != nil:
		c.leave(f.Name, err)
		return false
	}
	c.report.Quarantined = append(c.report.Quarantined, f)
	c.opts.Logger.Warn("mpmetrics: file is put aside", "file", f.Name, "reason", f.Reason, "err", f.Err)
	return true
}

// idsOf are the ids of files.
func idsOf(lists ...[]string) map[layout.ID]bool {
	ids := map[layout.ID]bool{}
	for _, names := range lists {
		for _, name := range names {
			_, id, err := layout.ParseFileName(name)
			if err == nil {
				ids[id] = true
			}
		}
	}
	return ids
}

// absorb adds up what was read.
func (c *compactor) absorb(p *plan) {
	now := c.now().UnixNano()
	var records []layout.Absorbed
	record := func(id layout.ID, start int64) {
		records = append(records, layout.Absorbed{ID: id, Start: start, Time: now})
	}
	for _, t := range p.processes {
		h := t.header
		process := merge.Process{ID: h.ID, Start: h.Start, Label: h.Process}
		unabsorbed := c.archive.Ledger.Absorb(process, t.families, t.inputs, t.values, t.natives, now)
		c.archive.Unabsorbed += uint64(unabsorbed)
		c.report.Unabsorbed += unabsorbed
		record(h.ID, h.Start)
	}
	for _, f := range p.quarantine {
		// Of an earlier boot. Until it is moved its values must not be taken for
		// part of the new totals.
		if _, id, err := layout.ParseFileName(f.Name); err == nil {
			record(id, 0)
		}
	}
	c.archive.Record(records...)
	c.archive.Absorbed += uint64(len(p.processes))
	c.archive.Quarantined += uint64(len(p.quarantine))
	if len(p.processes) > 0 {
		c.archive.Last = now
	}
	p.changed = p.changed || len(records) > 0
}

// finish commits what the batch has changed: steps 5 and 6.
func (c *compactor) finish(ctx context.Context, p *plan) error {
	var ch change
	if p.changed {
		c.setOpen(p)
		c.archive.BootID = c.boot()
		if c.archive.Epoch == 0 {
			c.archive.Epoch = rand.Uint32() | 1
		}
		ch.next, ch.aside = c.archive, c.begin
	}
	for _, t := range p.processes {
		ch.absorbed = append(ch.absorbed, t.name)
	}
	ch.absorbed = append(ch.absorbed, p.absorbed...)
	if ch.next == nil && len(ch.absorbed) == 0 {
		return nil
	}
	done, err := c.commit(ctx, ch) // (5), (6)
	if done.published {
		c.published(p)
	}
	if err != nil {
		return err
	}
	var errs []error
	c.report.Removed += len(p.absorbed)
	for _, f := range done.left {
		c.leave(f.Name, f.Err)
		errs = append(errs, f.Err)
		if slices.Contains(p.absorbed, f.Name) {
			c.report.Removed--
		}
	}
	for _, f := range p.quarantine {
		c.putFileAside(ctx, f)
	}
	return errors.Join(errs...)
}

// published notes that the archive is in place.
func (c *compactor) published(p *plan) {
	if c.begin != "" {
		c.opts.Logger.Error("mpmetrics: totals begin anew; what was before is in quarantine", "reason", c.begin)
		c.report.Aside, c.begin = c.begin, ""
	}
	c.report.Batches++
	c.report.Absorbed += len(p.processes)
	c.note()
}

// setOpen notes who is there and not absorbed. A dead file that nobody has seen
// before may be one that came back from a backup: it is not noted.
func (c *compactor) setOpen(p *plan) {
	open := idsOf(p.live)
	for id := range idsOf(p.waiting) {
		if c.archive.Open(id) {
			open[id] = true
		}
	}
	for name, transient := range c.left {
		_, id, err := layout.ParseFileName(name)
		if err == nil && (!transient || c.archive.Open(id)) {
			open[id] = true
		}
	}
	ids := make([]layout.ID, 0, len(open))
	for id := range open {
		ids = append(ids, id)
	}
	c.archive.SetOpen(ids)
}
