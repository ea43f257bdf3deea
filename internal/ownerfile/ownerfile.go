// Package ownerfile writes one process's file: slabs by bbolt, and in them the
// series log and the cells, by plain stores into mapped memory.
//
// Two kinds of work never meet. Appending (AppendFamily, AppendSeries) may run
// under a vec's write lock: it takes memory that is there already, under a
// mutex that is never held over a system call. Growing (Grow) makes slabs by
// bbolt transactions; its caller runs it in the background.
package ownerfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/boltfile"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
)

// Slabs start small, so that a job with ten series needs 48 KiB of disk. The
// second ones are three times as large, and later ones double. There is always a
// spare, but for the first slab: a job that stays small never needs one. When an
// eighth of the first slab is used there is room left for some 240 series, and a
// spare for 800 more 0.2 ms later, on a machine that is not busy.
const (
	firstLogPages  = 4 // some 270 records
	firstCellPages = 2 // 500 counters
	firstGrowth    = 3
	growthFactor   = 2
	usualSlabPages = 256 // 1 MiB; larger only for a record that needs it
	firstPrepareAt = 8   // one part in so many is used
)

// ErrMoved is returned by Grow when bbolt has moved a slab, against the
// placement rules: the cells in memory are no longer those of the file, and the
// file must not be used further.
var ErrMoved = errors.New("mpmetrics: bug: a slab moved in its file")

// ErrBroken is returned by Grow once bbolt met a memory fault in the file. The
// series that it has go on; there is no room for others.
var ErrBroken = errors.New("file cannot grow any more")

// File is the file of one process, open for counting.
type File struct {
	pid       int // of the process that made it
	path      string
	temporary string // its name until it is published
	db        *bbolt.DB
	file      *os.File // bbolt's; not read or written here

	// wanted has one element while Grow has something to do.
	wanted chan struct{}

	// growing serializes Grow and Close. It is held over transactions, and
	// never while mu is held.
	growing sync.Mutex
	header  layout.Header // guarded by growing
	slabs   []*slab       // mapped; guarded by growing
	numbers uint32        // slab numbers given so far; guarded by growing
	closed  bool          // guarded by growing
	cut     bool          // somebody cut the file short; guarded by growing
	moved   error         // a slab has moved; guarded by growing
	broken  bool          // bbolt must not be touched any more; guarded by growing

	former   former  // log slabs
	unmapped []*slab // in the file, to be mapped by Grow; guarded by growing
	mapWrite func(fd int, name string, offset int64, length int) (*mapped.Region, error)

	// mu guards everything below. It is never held over a system call.
	mu          sync.Mutex
	log, cells  tail
	next        *tail // of the log that is about to be in force, nil without one
	logBytes    int   // of all records of the log
	livingBytes int   // of those of families, and of series that are not gone
	freed       freed
	families    uint32 // numbers given so far
	series      uint32
	scratch     []byte // of the record being made
	farewell    []byte // of the gone record in front of it
	dead        bool   // appends are refused: closed or retired
}

// Create makes the file of this process in the directory sub, which
// directory.Ensure returned, and publishes it. The header's ID, PID, Start and
// texts are the caller's. At return the file is visible to readers and locked.
func Create(sub string, h layout.Header) (*File, error) {
	p, err := Prepare(sub, h)
	if err != nil {
		return nil, err
	}
	if err := p.Publish(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Prepare is Create without publishing: the file is complete, locked, and can be
// written to, but has a temporary name that nobody reads.
func Prepare(sub string, h layout.Header) (*File, error) {
	p := &File{
		pid:    fork.Pid(),
		path:   filepath.Join(sub, layout.FileName(int(h.PID), h.ID)),
		wanted: make(chan struct{}, 1),
		header: h,

		mapWrite: mapped.Write,
	}
	p.temporary = p.path + layout.TemporaryExtension
	if err := p.create(); err != nil {
		if p.db != nil {
			p.db.Close()
		}
		os.Remove(p.temporary)
		return nil, fmt.Errorf("make owner file: %w", err)
	}
	return p, nil
}

func (p *File) create() error {
	db, file, inode, err := boltfile.Create(p.temporary, directory.GroupReads)
	if err != nil {
		return err
	}
	p.db, p.file, p.header.Inode = db, file, inode
	logSlab, cellSlab := p.plan(layout.LogSlab, firstLogPages), p.plan(layout.CellSlab, firstCellPages)
	p.header.LogSlab = logSlab.header.Number
	if err := p.write([]*slab{logSlab, cellSlab}, true); err != nil {
		return err
	}
	if _, err := p.mapWritten(); err != nil {
		return err
	}
	p.log.install(logSlab)
	p.cells.install(cellSlab)
	return nil
}

// Publish renames a prepared file: nobody ever sees a published one that is not
// complete and locked. It takes the place of a file with the same id.
func (p *File) Publish() error {
	// Who opens it for writing from now on, were it by mistake, could cut it
	// short under this process.
	err := directory.Seal(p.file)
	if err == nil {
		err = os.Rename(p.temporary, p.path)
	}
	if err != nil {
		return fmt.Errorf("publish owner file: %w", err)
	}
	p.temporary = ""
	return nil
}

// Path is the path of the published file.
func (p *File) Path() string { return p.path }

// Header returns the header as it is in the file.
func (p *File) Header() layout.Header {
	p.growing.Lock()
	defer p.growing.Unlock()
	return p.header
}

// Wanted delivers when Grow should be called.
func (p *File) Wanted() <-chan struct{} { return p.wanted }

// AppendFamily appends a family record and returns the family's number. ok is
// false when there is no room yet: call again after Grow.
func (p *File) AppendFamily(f *layout.Family) (number uint32, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scratch = layout.AppendFamily(p.scratch[:0], p.families, f)
	if !p.logRoom(len(p.scratch)) {
		return 0, false
	}
	p.append(p.scratch)
	p.livingBytes += layout.RecordBytes(len(p.scratch))
	p.families++
	return p.families - 1, true
}

// AppendSeries takes cells for a series and appends its record: at return the
// series is in the file, whatever happens to the process. use is given the
// cells before any reader can see them. ok is false when there is no room yet:
// call again after Grow.
func (p *File) AppendSeries(family uint32, created int64, values []string, words int, use func([]atomic.Uint64)) (ok bool) {
	_, ok = p.ReplaceSeries(nil, family, created, values, words, use)
	return ok
}

// ReplaceSeries is AppendSeries, and in front of the series it appends that
// another one, unless nil, is gone: a reader never sees both. Killed in between,
// this process leaves neither.
func (p *File) ReplaceSeries(gone *Run, family uint32, created int64, values []string, words int, use func([]atomic.Uint64)) (r Run, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, again, ok := p.place(words)
	if !ok {
		return Run{}, false
	}
	r.number = p.series
	p.scratch = layout.AppendSeries(p.scratch[:0], &layout.Series{
		Number: r.number, Family: family, Place: r.place(), Created: created, Values: values,
	})
	if gone == nil {
		if !p.logRoom(len(p.scratch)) {
			return Run{}, false
		}
	} else {
		p.farewell = layout.AppendGone(p.farewell[:0], layout.Gone{Series: gone.number, Time: created})
		if !p.logRoom(len(p.farewell), len(p.scratch)) {
			return Run{}, false
		}
		p.append(p.farewell)
		p.livingBytes -= int(gone.record)
	}
	use(p.take(r, again))
	p.append(p.scratch)
	r.record = uint32(layout.RecordBytes(len(p.scratch)))
	p.livingBytes += int(r.record)
	p.series++
	return r, true
}

// AppendGone appends that a series of this file is gone. It reports false when
// there is no room yet: call again after Grow. A file that takes no series any more
// takes no gone record either: it was closed, or everything that is not gone moves
// into another one.
func (p *File) AppendGone(r Run, unixNano int64) (done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuses() {
		return true
	}
	p.farewell = layout.AppendGone(p.farewell[:0], layout.Gone{Series: r.number, Time: unixNano})
	if !p.logRoom(len(p.farewell)) {
		return false
	}
	p.append(p.farewell)
	p.livingBytes -= int(r.record)
	return true
}

// Retire refuses to append from now on. Every series that was appended before is
// in its cells when Retire returns.
func (p *File) Retire() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
}

// Close gives the file up: its values stay for the readers, its owner counts
// as gone from now on. Cells that somebody still holds reach it no more. A file
// that was not published is removed.
func (p *File) Close() error {
	if fork.Foreign(p.pid) {
		return p.forsake()
	}
	p.Retire()
	p.growing.Lock()
	defer p.growing.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	errs := p.detach()
	if p.temporary != "" {
		if err := os.Remove(p.temporary); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, p.unlock())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close owner file %s: %w", p.path, err)
	}
	return nil
}

// unlock drops the lock. It comes last: who finds a free lock reads what is final.
func (p *File) unlock() error {
	if p.broken {
		return p.file.Close()
	}
	return p.db.Close()
}

// forsake gives up a file that is another process's since this one was forked
// from it: it stays locked, and nothing that is done here reaches it any more.
func (p *File) forsake() error {
	p.Retire()
	p.growing.Lock()
	defer p.growing.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	// Not bbolt's Close: it would unlock the file, and the lock is the parent's
	// too.
	return errors.Join(append(p.detach(), p.file.Close())...)
}

func (p *File) detach() []error {
	errs := make([]error, 0, len(p.slabs))
	for _, s := range p.slabs {
		errs = append(errs, s.region.Detach())
	}
	return errs
}
