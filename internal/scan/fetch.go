package scan

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/mpmetrics/mpmetrics/internal/directory"
)

const (
	// littleMemory bounds the readings that one goroutine reads as fast as two. To wake another
	// core takes 70 µs on a virtual machine, often half of the time for littleMemory. A hundred
	// processes with a thousand series each stay below. someNew new files take longer.
	littleMemory = 20 << 20
	someNew      = 8
)

// fetcher reads files. Several goroutines may fetch at a time, each its own file, because a fetch
// touches no state of other files.
type fetcher struct {
	disk   Disk
	little int64 // bound for one goroutine

	descriptors descriptors
	memory      Budget      // of all files
	full        atomic.Bool // this snapshot has met a file beyond the bound of memory
}

func newFetcher(d Disk) fetcher {
	return fetcher{disk: d, little: littleMemory, descriptors: descriptors{count: directory.Descriptors}}
}

// fetched is the result of a fetch.
type fetched struct {
	done   bool
	probed bool // live is known
	live   bool
	values []uint64
	err    error
}

// fetchTogether fetches the listed files with as many goroutines as the disk has readers, until the
// context ends. Skipped files are for read, which proves damage by a second look.
func (d *Directory) fetchTogether(ctx context.Context) {
	readers, fresh := d.disk.Readers(), 0
	for _, f := range d.listed {
		if f.opened == nil {
			fresh++
		}
	}
	if readers == 1 || d.descriptors.few || d.memory.used < d.little && fresh < someNew {
		return
	}
	var next atomic.Int64
	fetch := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(d.listed) || ctx.Err() != nil || d.descriptors.short.Load() {
				return
			}
			f := d.listed[i]
			if f.bad == nil && !(f.opened != nil && f.Final()) && !(d.skip && d.archive.Holds(f.id)) {
				f.fetched = d.fetch(f)
				if directory.OutOfDescriptors(f.fetched.err) {
					d.descriptors.short.Store(true)
				}
			}
		}
	}
	var others sync.WaitGroup
	for range min(readers, len(d.listed)) - 1 {
		others.Go(fetch)
	}
	fetch()
	others.Wait()
}

// fetch reads a file from the end of the last reading on.
func (d *Directory) fetch(f *file) (got fetched) {
	got.done = true
	if f.opened == nil && d.full.Load() {
		got.err = d.memory.Beyond(f.name)
		return got
	}
	got.err = d.reopen(f)
	if got.err != nil {
		return got
	}
	o := f.opened
	if d.descriptors.open.Load() > d.descriptors.kept {
		defer d.rest(o)
	}
	// Probe first: a reading after a probe that said dead is final.
	got.live, got.err = o.Live()
	if got.err != nil {
		return got
	}
	if !got.live {
		// An owner whose file was moved away makes another file, and then releases the lock of the
		// former file. A free lock on the former file does not mean a dead process.
		got.err = o.Reopen(0)
		if got.err != nil {
			return got
		}
	}
	got.probed = true
	got.err = o.Refresh()
	if got.err != nil {
		return got
	}
	values, err := o.Load()
	if err == nil {
		err = d.memory.Keep(f.name, &o.memory, o.Memory())
		if err != nil {
			// Nothing of the file is kept, and no other file is opened: otherwise the files beyond
			// the bound would be read one after the other in each scan.
			d.full.Store(true)
			d.close(o)
			f.opened = nil
		}
	}
	got.values, got.err = values, err
	return got
}

// reopen opens the descriptor of a file, if necessary.
func (d *Directory) reopen(f *file) error {
	if f.opened == nil {
		opening, err := d.disk.Open(f.name)
		if err != nil {
			return err
		}
		f.opened = &opened{File: opening, of: d, name: f.name}
		d.descriptors.open.Add(1)
		return nil
	}
	resting := f.Resting()
	if err := f.Reopen(f.inode); err != nil {
		return err
	}
	if resting {
		d.descriptors.open.Add(1)
	}
	return nil
}

// rest gives the descriptor of a file back.
func (d *Directory) rest(o *opened) {
	if !o.Resting() {
		o.Rest()
		d.descriptors.open.Add(-1)
	}
}
