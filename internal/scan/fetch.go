package scan

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/mpmetrics/mpmetrics/internal/directory"
)

const (
	// minDescriptors are the files that are kept open whatever the limit of the
	// process is.
	minDescriptors = 48

	// descriptorShare is the part of the limit beyond that: a service must not run
	// out of descriptors because it has many processes. Files that are not kept open
	// are opened again at each scan, for some microseconds each.
	descriptorShare = 8

	// littleMemory of all files is read by one goroutine as soon as by two: to wake
	// another core takes 70 µs on a virtual machine, and often that is half of one. A
	// hundred processes with a thousand series each have it. Some files that are new
	// take longer.
	littleMemory = 20 << 20
	someNew      = 8
)

// fetcher reads files. Several goroutines may fetch at a time, each its own file:
// nothing here touches what the Directory knows of other files.
type fetcher struct {
	disk   Disk
	little int64 // memory that one goroutine reads

	kept   int64        // descriptors that are kept
	open   atomic.Int64 // files with a descriptor
	memory Budget       // of all files
}

func newFetcher(d Disk) fetcher {
	return fetcher{disk: d, little: littleMemory, kept: max(minDescriptors, directory.DescriptorLimit()/descriptorShare)}
}

// fetched is the result of one fetch.
type fetched struct {
	done   bool
	probed bool // live is valid
	live   bool
	values []uint64
	err    error
}

// fetchTogether fetches the listed files by as many goroutines as the disk has
// readers, until the context ends. A file that is left out waits for read, which
// looks at it twice.
func (d *Directory) fetchTogether(ctx context.Context) {
	readers, fresh := d.disk.Readers(), 0
	for _, f := range d.listed {
		if f.opened == nil {
			fresh++
		}
	}
	if readers == 1 || d.memory.used < d.little && fresh < someNew {
		return
	}
	var next atomic.Int64
	fetch := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(d.listed) || ctx.Err() != nil {
				return
			}
			f := d.listed[i]
			if f.bad == nil && !(f.opened != nil && f.Final()) && !(d.skip && d.archive.Holds(f.id)) {
				f.fetched = d.fetch(f)
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

// fetch reads on from where the last reading of a file stopped.
func (d *Directory) fetch(f *file) (got fetched) {
	got.done = true
	got.err = d.reopen(f)
	if got.err != nil {
		return got
	}
	o := f.opened
	if d.open.Load() > d.kept {
		defer d.rest(o)
	}
	// The probe comes first: what is read after it said dead is final.
	got.live, got.err = o.Live()
	if got.err != nil {
		return got
	}
	if !got.live {
		// An owner whose file was taken away drops the lock of that file when its name
		// leads to another file. A reader of the former file has not met a dead process.
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
	}
	got.values, got.err = values, err
	return got
}

// reopen sees to it that there is a descriptor.
func (d *Directory) reopen(f *file) error {
	if f.opened == nil {
		opening, err := d.disk.Open(f.name)
		if err != nil {
			return err
		}
		f.opened = &opened{File: opening, of: d, name: f.name}
		d.open.Add(1)
		return nil
	}
	resting := f.Resting()
	if err := f.Reopen(f.inode); err != nil {
		return err
	}
	if resting {
		d.open.Add(1)
	}
	return nil
}

// rest gives a descriptor back.
func (d *Directory) rest(o *opened) {
	if !o.Resting() {
		o.Rest()
		d.open.Add(-1)
	}
}
