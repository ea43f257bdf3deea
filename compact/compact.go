// Package compact absorbs dead processes: the counts of a dead process move from its file into the
// archive, exactly once, and the file is removed.
//
// Most services need no call. A collector absorbs the dead processes of its scrapes, and a store
// absorbs when its process finds many dead files at the start. Call [Run] to absorb at another
// time, for instance as the last step of a shutdown.
package compact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/boot"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/location"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/pace"
	"github.com/mpmetrics/mpmetrics/internal/scan"
)

var (
	// ErrBusy is returned while another absorption runs.
	ErrBusy error // set below: documentation shows no internal package

	// ErrNewer is returned when this program does not know the format of the archive. [Run] leaves
	// the archive as it is; only a newer program can absorb.
	ErrNewer = errors.New("the archive is of another format")

	// ErrChanged is returned when compact.lock, the directory or the archive was removed or
	// replaced during the absorption. [Run] gives up; batches before the change stay absorbed. The
	// next Run reads everything again.
	ErrChanged = errors.New("gave up")
)

func init() { ErrBusy = archive.ErrBusy }

const (
	// batchFiles bounds the files that one archive absorbs. A crash before the rename loses the
	// work of one batch.
	batchFiles = 256

	// idRetention is the least time that the archive keeps the id of an absorbed process, longer
	// than any scrape. pruneSlack bounds how often the archive is rewritten to prune ids.
	idRetention = time.Hour
	pruneSlack  = 10 * time.Minute

	// baseRetention is the least time that the archive keeps the base of a process without a file. A
	// repair may bring the file back.
	baseRetention = 24 * time.Hour
)

// Run absorbs all dead processes of the directory that is configured for their stores. No process
// has to stop during Run. A killed Run loses nothing: the next Run finishes the work.
//
//  1. Run locks compact.lock and the archive without waiting. If another absorption has a lock, Run
//     returns [ErrBusy].
//  2. Run probes each file with a shared lock for a moment. If the lock is free and the path still
//     leads to the file, the owner is dead for ever.
//  3. If the archive already holds the id of the process, an absorption was cut off after the
//     rename, and Run only removes the file in step 6.
//  4. Run reads the file. Proven damage puts the file into quarantine. After a transient error the
//     file waits for the next Run.
//  5. Run writes an archive with the old values, the new values and the ids under another name,
//     syncs the archive, renames the archive to archive.mpm, and syncs the directory. The rename
//     decides: before the rename nothing has happened, after the rename the whole batch is
//     absorbed. Right before the rename Run checks that compact.lock, the directory and the archive
//     in place are the same as at the reading. Otherwise Run returns [ErrChanged].
//  6. Run removes the absorbed files.
//
// If the archive is damaged, or was removed, totals restart: Run puts the archive aside and makes
// another archive. What processes had counted before is not in the restarted totals.
//
// Run checks the context between files. Run absorbs in batches of 256 files with pauses between the
// batches, see [Limits].CoreShare. Each batch reads the archive anew. An absorbed batch stays
// absorbed if a later batch fails. A missing directory is an error that wraps [fs.ErrNotExist].
//
// The location may also be the URL of a namespace on a server, such as
// redis://host:6379/0?namespace=shop. Steps 5 and 6 are then one atomic exchange. If the archive or
// a dead process has changed since the reading, the server changes nothing, and Run returns
// [ErrBusy].
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

// open opens the world of a location.
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
		return c.report, fmt.Errorf("absorb: %w", directory.Advise(err))
	}
	return c.report, nil
}

// compactor is one Run.
type compactor struct {
	world
	opts    Opts
	report  Report
	archive *archive.Archive // the archive in place, or an empty archive if damaged
	begin   string           // why totals restart with the next archive; empty: they go on
	damaged int64            // with begin: no total has a process that began later
	left    map[string]bool  // files in the report; true: the reason may pass
	known   map[string]bool  // dead files, without a need for another probe
	others  int              // files that are live, or in left
}

func (c *compactor) run(ctx context.Context) error {
	unlock, err := c.lock(ctx) // (1)
	if err != nil {
		return err
	}
	defer unlock()
	if err := c.load(ctx); err != nil {
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
		if err := c.load(ctx); err != nil {
			return err
		}
	}
}

// load reads the archive. A damaged archive is put aside by the next commit.
func (c *compactor) load(ctx context.Context) error {
	var err error
	c.archive, err = c.readArchive(ctx)
	if err == nil {
		c.archive.Now = c.now().UnixNano()
		c.note()
		return nil
	}
	switch scan.ReasonOf(err) {
	case scan.Version, scan.ByteOrder:
		return fmt.Errorf("%w: %w", ErrNewer, err)
	case scan.Damaged, scan.Foreign:
		c.archive = archive.New()
		// A scrape may know the epoch of the damaged archive: take another epoch.
		c.archive.Epoch = rand.Uint32()
		c.begin, c.damaged = err.Error(), c.world.damaged()
		return nil
	}
	return err
}

// note copies the size of the archive into the report.
func (c *compactor) note() {
	c.report.Series, c.report.Bytes = c.archive.Ledger.Series(), c.archive.Size
}

// pause leaves the core to other work, for a time that depends on the number of waiting files.
// pause counts the waiting files every now and then, because further processes may die.
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

// batch absorbs up to batchFiles files and returns the number of waiting files.
func (c *compactor) batch(ctx context.Context) (waiting int, err error) {
	looked, uptime := c.now(), c.uptime()
	found, err := c.look(ctx)
	if err != nil {
		return 0, err
	}
	if err := c.checkBoot(ctx, found); err != nil {
		return 0, err
	}
	c.archive.Enter(c.boot())
	for _, name := range found.aside {
		c.putFileAside(ctx, earlierBoot(name))
	}
	batch := found.dead[:min(len(found.dead), batchFiles)]
	worth := c.report.Batches > 0 || c.begin != "" || len(found.dead) >= c.opts.MinDead
	if !worth {
		batch = nil // further batches may still be worth the work
	}
	found.waiting = found.dead[len(batch):]
	p := &plan{listing: found, looked: looked, uptime: uptime}
	for _, name := range batch {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		c.take(ctx, p, name)
	}
	c.putAside(ctx, p)
	if err := c.beginAnew(ctx, p); err != nil {
		return 0, err
	}
	c.readBases(ctx, p)
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

// listing is the result of a look at the directory.
type listing struct {
	live     []string // live, or unknown
	absorbed []string // dead, and the archive holds the id
	aside    []string // dead, of an earlier boot: an absorption was cut off before the quarantine
	dead     []string // dead, and the archive does not hold the id
	waiting  []string // dead, for a later batch
}

// look probes every file.
func (c *compactor) look(ctx context.Context) (*listing, error) {
	names, err := c.list(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	names = slices.Compact(names) // the kernel may list a file twice, while other files are made and removed
	found := &listing{}
	for _, name := range names {
		_, id, err := layout.ParseFileName(name)
		if err != nil {
			continue // foreign: never touched
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
		case c.archive.PutAside(id):
			found.aside = append(found.aside, name)
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

// plan is the work of a batch.
type plan struct {
	*listing
	processes  []*taken
	quarantine []LeftFile
	changed    bool          // the archive has to be written
	looked     time.Time     // before the look at the directory
	uptime     time.Duration // at looked
}

// taken is a dead process with its content.
type taken struct {
	name string
	*process
}

// take reads a file (step 4).
func (c *compactor) take(ctx context.Context, p *plan, name string) {
	var read *process
	err := scan.Prove(func() (err error) {
		read, err = c.read(ctx, name)
		return err
	})
	if err == nil && c.archive.Returned(read.header) {
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

// leave reports a file that stays.
func (c *compactor) leave(name string, err error) {
	c.left[name] = scan.Transient(err)
	c.report.Left = append(c.report.Left, LeftFile{Name: name, Reason: string(scan.ReasonOf(err)), Err: err})
}

// checkBoot looks for missing values of an earlier boot of the machine: the last seconds of a file,
// or a whole file. Totals without the missing values would be lower than before, and so totals
// restart.
func (c *compactor) checkBoot(ctx context.Context, found *listing) error {
	filesInMemory, archiveInMemory := c.inMemory()
	now := c.boot()
	ofThisBoot := archiveInMemory || !boot.Differ(c.archive.BootID, now)
	if c.begin != "" || c.archive.Exists() && ofThisBoot {
		return nil // totals restart now, or did before: a file of the earlier boot is late
	}
	there := idsOf(found.live, found.absorbed, found.dead, c.leftNames())
	if c.archive.Lost(there) {
		c.restart("files of an earlier boot of the machine are missing")
		return nil
	}
	if filesInMemory {
		return nil
	}
	for _, name := range found.dead {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := c.header(name)
		if err == nil && boot.Differ(h.BootID, now) {
			c.restart("files of an earlier boot of the machine were not absorbed, their last seconds may be missing")
			return nil
		}
	}
	return nil
}

// restart makes totals restart after a boot of the machine. No scrape of this boot has shown a total,
// so the counts of all processes of this boot are new.
func (c *compactor) restart(why string) { c.begin, c.damaged = why, math.MinInt64 }

func (c *compactor) leftNames() []string { return slices.Collect(maps.Keys(c.left)) }

// beginAnew takes the processes of an earlier boot out. If totals restart, beginAnew empties the
// archive, and takes the counts of earlier totals as bases.
func (c *compactor) beginAnew(ctx context.Context, p *plan) error {
	inMemory, _ := c.inMemory()
	now := c.boot()
	p.processes = slices.DeleteFunc(p.processes, func(t *taken) bool {
		if inMemory || !boot.Differ(t.header.BootID, now) {
			return false
		}
		p.quarantine = append(p.quarantine, earlierBoot(t.name))
		return true
	})
	if c.begin == "" {
		return nil
	}
	p.changed = true
	c.archive.Ledger = merge.NewLedger()
	c.archive.Begun, c.archive.Uptimes.Begun = p.looked.UnixNano(), int64(p.uptime)
	c.archive.Aside++
	c.archive.Epoch++
	return c.rebase(ctx, p)
}

func earlierBoot(name string) LeftFile {
	return LeftFile{Name: name, Reason: string(scan.Boot), Err: errors.New("file of an earlier boot of the machine")}
}

// putAside moves the damaged files of step 4 to quarantine. The totals have no value of a damaged
// file, so the files need not wait for the archive.
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

// idsOf returns the ids of files.
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

// absorb adds the values of the batch to the archive.
func (c *compactor) absorb(p *plan) {
	now := c.now().UnixNano()
	var records []layout.Absorbed
	record := func(id layout.ID, start int64) {
		records = append(records, layout.Absorbed{ID: id, Start: start, Time: now})
	}
	for _, t := range p.processes {
		h := t.header
		inputs, values, natives := t.inputs, t.values, t.natives
		if base := c.archive.Base(h); base != nil {
			s := base.Subtract(t.families, inputs, len(values))
			inputs = s.Inputs
			values, natives = s.Apply(values, natives)
			delete(c.archive.Ledger.Bases, h.ID)
		}
		process := merge.Process{ID: h.ID, Start: h.Start, Label: h.Process}
		unabsorbed := c.archive.Ledger.Absorb(process, t.families, inputs, values, natives, now)
		c.archive.Unabsorbed += uint64(unabsorbed)
		c.report.Unabsorbed += unabsorbed
		record(h.ID, h.Start)
	}
	for _, f := range p.quarantine {
		// The file is of an earlier boot, and not moved yet. Without a record of the id the new
		// totals would include the values of the file.
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

// finish commits the changes of the batch (steps 5 and 6).
func (c *compactor) finish(ctx context.Context, p *plan) error {
	var ch change
	if p.changed {
		c.setOpen(p)
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

// published updates the report after the archive was published.
func (c *compactor) published(p *plan) {
	if c.begin != "" {
		c.opts.Logger.Error("mpmetrics: totals restart; the former archive is in quarantine", "reason", c.begin)
		c.report.Aside, c.begin = c.begin, ""
	}
	_ = c.steady(c.now(), c.uptime()) // the first archive: from now on the clock is watched
	c.report.Batches++
	c.report.Absorbed += len(p.processes)
	c.note()
}

// setOpen records the processes that exist without an absorption. A dead file that no absorption
// has seen before may be from a backup, and is not recorded.
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
