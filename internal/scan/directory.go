package scan

import (
	"context"
	"errors"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/reader"
)

// maxTries bounds step (vi). Ids are pruned every ten minutes at most.
const maxTries = 3

// Directory is the Source for a directory: the files of all processes, and the archive of the
// absorbed processes. Every process is counted once, even if an absorption runs during the reading:
//
//	(i)   note the epoch of the archive
//	(ii)  list the files
//	(iii) read every file
//	(iv)  open the archive by its name, after the last file, and read the archive
//	(v)   drop the files of processes in the archive; the Scanner keeps the last good values
//	      of other processes whose files are missing
//	(vi)  if the epoch of the archive differs from the epoch of (i), start again
//
// If a file is missing in (iii), an absorption removed the file after the rename that put the
// values into the archive. Step (iv) opens the archive later, and so finds the values. A process
// that is absorbed after its reading is dropped by its id in (v). Ids leave the archive long after
// the files, and the epoch changes then.
type Directory struct {
	disk    Disk
	files   map[string]*file
	archive *archive.Archive // as last read; never nil
	skip    bool             // the ids are current: (i) found the epoch of archive
	round   int              // of the last list
	first   int              // round of the first list of the snapshot
	fetcher

	// For one snapshot; the next snapshot uses the memory again.
	listed    []*file
	processes []Process
	errs      []error
}

// file is a file of the directory. The name and the id never change.
type file struct {
	name  string
	id    layout.ID
	seen  int    // round of the last list with the file
	inode uint64 // from the last list, if known

	*opened                // nil: the file was never opened
	bad     error          // proven reason for skipping the file
	badAs   directory.Stat // the file at the time of bad; skipped while unchanged
	header  *layout.Header // only with ErrReturned

	fetched fetched // result for read, if done
	probed  bool    // the snapshot has probed the owner
	alive   bool    // result of the probe
	err     error   // why the reading is older than the snapshot
}

// opened is one reading of a file, from its beginning. It implements Kept.
type opened struct {
	File
	of      *Directory
	name    string
	read    bool // read to the end; the fields below are of the last time
	offered bool // a snapshot had the reading: the Scanner calls Release
	values  []uint64
	natives map[int]*layout.Native
	live    bool
	place   uint64
	memory  int64 // counted by the budget
}

// NewDirectory returns a Directory on a disk.
func NewDirectory(d Disk) *Directory {
	return &Directory{disk: d, files: map[string]*file{}, archive: archive.New(), fetcher: newFetcher(d)}
}

// Snapshot implements Source. The context is checked between files.
func (d *Directory) Snapshot(ctx context.Context) (Snapshot, error) {
	d.errs, d.first = d.errs[:0], d.round+1
	d.full.Store(false)
	d.descriptors.look()
	d.keepFew(d.descriptors.kept)
	for range maxTries {
		var epoch uint32
		archiveErr := d.sparing(func() (err error) {
			epoch, err = d.disk.Epoch() // (i)
			return err
		})
		d.skip = archiveErr == nil && epoch == d.archive.Epoch
		var entries []directory.Entry
		err := d.sparing(func() (err error) {
			entries, err = d.disk.List() // (ii)
			return err
		})
		if err != nil {
			d.errs = append(d.errs, err)
			return Snapshot{Errs: d.errs}, err
		}
		failed := d.readAll(ctx, entries) // (iii)
		if archiveErr == nil {
			archiveErr = d.sparing(d.readArchive) // (iv)
		}
		if archiveErr != nil {
			d.errs = append(d.errs, archiveErr)
			return d.snapshot(nil, false, archiveErr), nil
		}
		if d.archive.Epoch != epoch { // (vi), before (v): (v) needs the pruned ids
			continue
		}
		d.drop() // (v)
		return d.snapshot(d.archive, true, failed), nil
	}
	d.errs = append(d.errs, ErrChanging)
	return d.snapshot(d.archive, false, ErrChanging), nil
}

// snapshot makes the Snapshot of the last round.
func (d *Directory) snapshot(a *archive.Archive, settled bool, incomplete error) Snapshot {
	d.processes = d.processes[:0]
	for _, f := range d.listed {
		if f.seen != d.round {
			continue // removed since the list
		}
		p := Process{Name: f.name, ID: f.id, Live: f.alive, Probed: f.probed, Err: f.err}
		if o := f.opened; o.good() {
			p.Reading, p.Values, p.Natives = o, o.values, o.natives
			if f.err == nil {
				p.Live, p.Probed, o.offered = o.live, true, true
			}
		}
		d.processes = append(d.processes, p)
	}
	return Snapshot{
		Place: d.disk.Place(), Processes: d.processes, Archive: a, Settled: settled, InMemory: d.disk.InMemory,
		Incomplete: incomplete, Errs: d.errs,
	}
}

// good reports whether the reading has values.
func (o *opened) good() bool { return o != nil && o.read }

// readAll reads every file. An error means that the reading of a file failed for the moment.
func (d *Directory) readAll(ctx context.Context, entries []directory.Entry) (failed error) {
	d.round++
	d.listed = d.listed[:0]
	for _, e := range entries {
		f := d.files[e.Name]
		if f == nil {
			_, id, err := layout.ParseFileName(e.Name)
			if err != nil {
				continue // foreign: never touched
			}
			f = &file{name: e.Name, id: id}
			d.files[e.Name] = f
		}
		if f.seen == d.round {
			continue // listed twice, while other files were made and removed
		}
		f.probed = f.probed && f.seen >= d.first // by an earlier try of the snapshot
		f.seen, f.inode, f.err = d.round, e.Inode, nil
		d.listed = append(d.listed, f)
	}
	d.fetchTogether(ctx)
	late := false
	for _, f := range d.listed {
		if d.skip && d.archive.Holds(f.id) {
			continue // about to be removed by an absorption
		}
		if late = late || !f.fetched.done && ctx.Err() != nil; late && !f.fetched.done {
			f.err = ErrDeadline
			continue
		}
		if err := d.read(f); err != nil {
			failed = err
		}
	}
	if late {
		d.errs = append(d.errs, ErrDeadline)
		return ErrDeadline
	}
	return failed
}

// readArchive reads the archive.
func (d *Directory) readArchive() error {
	a, err := d.disk.Archive(d.archive)
	if err != nil {
		return err
	}
	if a != d.archive {
		d.archive.Close()
		d.archive = a
	}
	return nil
}

// drop forgets the files of processes in the archive, and files that came back after their
// absorption. drop gives the descriptors of missing files back.
func (d *Directory) drop() {
	for name, f := range d.files {
		missing := f.seen != d.round
		switch {
		case d.archive.Holds(f.id):
			d.forget(f)
		case missing && (f.opened == nil || !f.offered):
			d.forget(f)
		case missing:
			d.rest(f.opened)
			continue // the Scanner calls Release
		case f.good() && (!f.live || f.bad != nil) && d.archive.Returned(f.Header()):
			header := f.Header()
			d.forget(f)
			d.leaveOut(f, ErrReturned)
			f.header = header
		}
		if missing {
			delete(d.files, name)
		}
	}
}

// forget gives back the reading of a file.
func (d *Directory) forget(f *file) {
	if f.opened != nil {
		d.close(f.opened)
	}
	f.opened, f.bad, f.badAs, f.fetched, f.err = nil, nil, directory.Stat{}, fetched{}, nil
}

// close gives everything back except the families and entries.
func (d *Directory) close(o *opened) {
	d.rest(o)
	o.Close()
	d.memory.GiveBack(&o.memory)
}

// Release implements Kept.
func (o *opened) Release() {
	d := o.of
	if f := d.files[o.name]; f != nil && f.opened == o {
		d.forget(f)
		return
	}
	d.close(o)
}

// Close implements Source.
func (d *Directory) Close() {
	for name, f := range d.files {
		d.forget(f)
		delete(d.files, name)
	}
	d.archive.Close()
}

// read brings one file up to date. An error means that the reading failed for the moment.
func (d *Directory) read(f *file) error {
	if d.stillBad(f) {
		f.err = f.bad
		if f.good() {
			d.probe(f)
		}
		return nil
	}
	err := d.update(f)
	if errors.Is(err, reader.ErrReplaced) || err != nil && !Transient(err) {
		// The owner has replaced the file, or the file looks damaged. A second reading from the
		// beginning proves the damage.
		if !errors.Is(err, reader.ErrReplaced) {
			time.Sleep(proofDelay)
		}
		err = d.reread(f)
	}
	switch {
	case err == nil:
		f.bad = nil
		return nil
	case Vanished(err):
		f.seen = 0 // removed since the list
		return nil
	case Transient(err):
		f.err = err
		d.errs = append(d.errs, err)
		return err
	}
	if f.good() && f.place != d.disk.Place() {
		d.forget(f) // the directory of the last good values is gone
	}
	d.leaveOut(f, err)
	return nil
}

// leaveOut skips a file until the file changes.
func (d *Directory) leaveOut(f *file, err error) {
	f.err, f.bad, f.badAs = err, err, d.disk.Look(f.name)
}

// stillBad reports whether the reason for skipping a file holds still: the file is unchanged, in
// content, owner, mode and name. Stores of the owner into mapped memory may stay invisible, but no
// store repairs a damaged file.
func (d *Directory) stillBad(f *file) bool {
	switch {
	case f.bad == nil, f.badAs.Inode == 0, d.disk.Look(f.name) != f.badAs:
		return false
	case errors.Is(f.bad, ErrReturned):
		return d.archive.Returned(f.header)
	}
	return true
}

// probe finds out whether the owner of a damaged file lives: the last good values stay, but live
// gauges leave with the owner.
func (d *Directory) probe(f *file) {
	if d.sparing(func() error { return d.reopen(f) }) != nil {
		return
	}
	if live, err := f.Live(); err == nil {
		f.probed, f.alive = true, live
	}
	if d.descriptors.open.Load() > d.descriptors.kept {
		d.rest(f.opened)
	}
}

// reread reads a file from the beginning. If the second reading fails, the first reading stays: a
// file that was damaged during the life of its owner keeps its last good values.
func (d *Directory) reread(f *file) error {
	fresh := &file{name: f.name, id: f.id}
	err := d.update(fresh)
	for try := 1; try < maxTries && errors.Is(err, reader.ErrReplaced); try++ {
		// The owner has rewritten the log once more, between two looks at the header.
		d.forget(fresh)
		err = d.update(fresh)
	}
	if err != nil {
		d.forget(fresh)
		return err
	}
	d.forget(f)
	f.opened, f.probed, f.alive = fresh.opened, fresh.probed, fresh.alive
	return nil
}

// update reads a file from the end of the last reading on.
func (d *Directory) update(f *file) error {
	if f.opened != nil && f.Final() {
		return nil
	}
	got := f.fetched
	f.fetched = (fetched{})
	if !got.done || directory.OutOfDescriptors(got.err) {
		_ = d.sparing(func() error {
			got = d.fetch(f)
			return got.err
		})
	}
	if got.probed {
		f.probed, f.alive = true, got.live
	}
	if got.err != nil {
		return got.err
	}
	o := f.opened
	o.read, o.values, o.natives, o.live, o.place = true, got.values, o.Natives(), got.live, d.disk.Place()
	if !o.live {
		d.rest(o)
		o.Finish()
	}
	return nil
}
