package scan

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

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
// nothing here touches what the scan or the merger know of others.
type fetcher struct {
	source Source
	most   int64 // that memory may be
	little int64 // memory that one goroutine reads

	kept int64        // descriptors that are kept
	open atomic.Int64 // files with a descriptor

	mu     sync.Mutex // held for the next
	memory int64      // of all files
}

func newFetcher(source Source) fetcher {
	return fetcher{source: source, most: maxMemory, little: littleMemory, kept: max(minDescriptors, directory.DescriptorLimit()/descriptorShare)}
}

// fetched is what was read of a file, for who takes it over.
type fetched struct {
	done   bool
	probed bool // live is valid
	live   bool
	values []uint64
	err    error
}

// fetchTogether fetches files by as many goroutines as the source has readers, until
// a deadline. Those that were left out before wait for who looks at them twice.
func (s *Scanner) fetchTogether(files []*tracked, deadline time.Time) {
	readers, fresh := s.source.Readers(), 0
	for _, t := range files {
		if t.file == nil {
			fresh++
		}
	}
	if readers == 1 || s.memory < s.little && fresh < someNew {
		return
	}
	var next atomic.Int64
	fetch := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= len(files) || time.Now().After(deadline) {
				return
			}
			t := files[i]
			if t.bad == nil && !(t.file != nil && t.file.Final()) && !(s.skip && s.archive.Holds(t.id)) {
				t.fetched = s.fetch(t)
			}
		}
	}
	var others sync.WaitGroup
	for range min(readers, len(files)) - 1 {
		others.Go(fetch)
	}
	fetch()
	others.Wait()
}

// fetch reads on from where the last reading of a file stopped.
func (f *fetcher) fetch(t *tracked) (got fetched) {
	got.done = true
	got.err = f.reopen(t)
	if got.err != nil {
		return got
	}
	if f.open.Load() > f.kept {
		defer f.rest(t)
	}
	// The probe comes first: what is read after it said dead is final.
	got.live, got.err = t.file.Live()
	if got.err != nil {
		return got
	}
	if !got.live {
		// An owner whose file was taken away drops the lock of that one when its name
		// leads to another. Who reads the former has not met a dead process.
		got.err = t.file.Reopen(0)
		if got.err != nil {
			return got
		}
	}
	got.probed = true
	got.err = t.file.Refresh()
	if got.err != nil {
		return got
	}
	values, err := t.file.Load()
	if err == nil {
		err = f.keep(t)
	}
	got.values, got.err = values, err
	return got
}

// reopen sees to it that there is a descriptor.
func (f *fetcher) reopen(t *tracked) error {
	if t.file == nil {
		file, err := f.source.Open(t.name)
		if err != nil {
			return err
		}
		t.file = file
		f.open.Add(1)
		return nil
	}
	resting := t.file.Resting()
	if err := t.file.Reopen(t.inode); err != nil {
		return err
	}
	if resting {
		f.open.Add(1)
	}
	return nil
}

// rest gives a descriptor back.
func (f *fetcher) rest(t *tracked) {
	if !t.file.Resting() {
		t.file.Rest()
		f.open.Add(-1)
	}
}

// keep counts the memory that a file takes.
func (f *fetcher) keep(t *tracked) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := t.file.Memory()
	if f.memory+n-t.memory > f.most {
		return fmt.Errorf("%s and other files, more than %d bytes: %w", t.name, f.most, ErrMemory)
	}
	f.memory += n - t.memory
	t.memory = n
	return nil
}

// forgetMemory takes back what keep counted.
func (f *fetcher) forgetMemory(t *tracked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.memory -= t.memory
	t.memory = 0
}
