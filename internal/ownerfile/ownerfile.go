// Package ownerfile writes the file of one process: slabs by bbolt, and in the slabs the series
// log and the cells, by plain stores into mapped memory.
//
// Two kinds of work are kept apart. Appending (AppendFamily, AppendSeries) may run under a vec's
// write lock: appending takes existing memory, under a mutex never held over a system call.
// Growing (Grow) makes slabs by bbolt transactions; the caller runs Grow in the background.
package ownerfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/boltfile"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
)

// Slabs start small, so that a job with ten series needs 48 KiB of disk. The second slab is three
// times as large as the first, and each later slab doubles. The owner always keeps a spare, except
// during the first eighth of the first slab: a small job never needs a spare. After the first
// eighth, the first slab has room for some 240 series more. The spare with room for 800 series is
// ready 0.2 ms later, on a machine that is not busy.
const (
	firstLogPages  = 4 // some 270 records
	firstCellPages = 2 // 500 counters
	firstGrowth    = 3
	growthFactor   = 2
	usualSlabPages = 64  // 256 KiB
	slabShare      = 8   // in a large file a slab is an eighth of the slabs of its kind
	largeSlabPages = 256 // 1 MiB; larger only for a larger record
	firstPrepareAt = 8   // after 1/8 of the first slab
)

// ErrMoved is returned by Grow when bbolt has moved a slab, against the placement rules: the cells
// in memory are no longer the cells of the file, and the file must not be used further.
var ErrMoved = errors.New("mpmetrics: bug: a slab moved in its file")

// ErrBroken is returned by Grow after a memory fault of bbolt in the file. Existing series go on;
// the file gets no more room.
var ErrBroken = errors.New("file cannot grow after a memory fault")

// File is the file of one process, open for counting.
type File struct {
	pid       int // of the process that made the file
	path      string
	temporary string // name before publication
	db        *bbolt.DB
	file      *os.File // bbolt's; not read or written here

	// wanted has an element while Grow has work.
	wanted chan struct{}

	// growing serializes Grow and Close. growing is held over transactions, and never while mu is
	// held.
	growing sync.Mutex
	header  layout.Header // guarded by growing
	slabs   []*slab       // mapped; guarded by growing
	numbers uint32        // slab numbers given so far; guarded by growing
	closed  bool          // guarded by growing
	cut     bool          // the file was truncated; guarded by growing
	moved   error         // a slab has moved; guarded by growing
	broken  bool          // bbolt must not be used; guarded by growing

	former       former    // log slabs
	rewriteAfter time.Time // no rewrite before; guarded by growing
	unmapped     []*slab   // in the file, to be mapped by Grow; guarded by growing
	mapWrite     func(fd int, name string, offset int64, length int) (*mapped.Region, error)

	// mu guards everything below. mu is never held over a system call.
	mu          sync.Mutex
	log, cells  tail
	next        *tail // new log during a rewrite, otherwise nil
	livingBytes int   // of families, and of series without a gone record
	freed       freed
	families    uint32 // numbers given so far
	series      uint32
	scratch     []byte // of the record being made
	farewell    []byte // payload of the gone record before scratch
	dead        bool   // appends are refused: closed or retired
}

// Create makes the file of the process in the directory sub, as returned by directory.Ensure, and
// publishes the file. The caller sets the header's ID, PID, Start and texts. At return the file is
// locked, and visible to readers.
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

// Prepare is Create without publishing: the file is complete, locked, and can be written to, but
// readers skip its temporary name.
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

// Publish renames a prepared file. Readers only ever see a published file complete and locked. The
// file replaces a file with the same id.
func (p *File) Publish() error {
	// From now on a program could open the file for writing, even by mistake, and truncate the file
	// under the owner.
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

// Header returns the header in the file.
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

// AppendSeries takes cells for a series and appends its record: at return the series is in the
// file, even if the process dies. AppendSeries passes the cells to use before any reader can see
// the cells. ok is false if the file has no room yet: call again after Grow.
func (p *File) AppendSeries(family uint32, created int64, values []string, words int, use func([]atomic.Uint64)) (ok bool) {
	_, ok = p.ReplaceSeries(nil, family, created, values, words, use)
	return ok
}

// AppendDeleted is AppendSeries for a share: readers of a file that is not published yet see the
// series and its share record at once.
func (p *File) AppendDeleted(family uint32, created int64, values []string, words int, use func([]atomic.Uint64)) (r Run, ok bool) {
	const most = 64 // bytes of a share record
	p.mu.Lock()
	defer p.mu.Unlock()
	p.scratch = layout.AppendSeries(p.scratch[:0], &layout.Series{Number: math.MaxUint32, Family: family, Place: layout.Place{Slab: math.MaxUint32, Word: math.MaxUint32}, Values: values})
	if !p.logRoom(len(p.scratch), most) {
		return Run{}, false
	}
	if r, ok = p.appendSeries(nil, family, created, values, words, use); ok {
		p.appendShare(&r, true)
	}
	return r, ok
}

// ReplaceSeries is AppendSeries, and appends the gone record of another series first, unless gone
// is nil: a reader never sees both series. A process killed between the two records leaves neither
// series.
func (p *File) ReplaceSeries(gone *Run, family uint32, created int64, values []string, words int, use func([]atomic.Uint64)) (r Run, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.appendSeries(gone, family, created, values, words, use)
}

// appendSeries is ReplaceSeries. mu is held.
func (p *File) appendSeries(gone *Run, family uint32, created int64, values []string, words int, use func([]atomic.Uint64)) (r Run, ok bool) {
	if p.series == math.MaxUint32 {
		return Run{}, false // the series waits for the next file
	}
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
		p.livingBytes -= int(gone.record + gone.share)
	}
	use(p.take(r, again))
	p.append(p.scratch)
	r.record = uint32(layout.RecordBytes(len(p.scratch)))
	p.livingBytes += int(r.record)
	p.series++
	return r, true
}

// AppendGone appends the gone record of a series of the file. AppendGone returns false if the file
// has no room yet: call again after Grow. AppendGone does nothing and returns true if the file
// refuses appends: the file is closed, or all remaining series move to another file.
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
	p.livingBytes -= int(r.record + r.share)
	return true
}

// AppendShare makes a series of the file a share, or a series as before. AppendShare returns false
// if the file has no room, or refuses appends.
func (p *File) AppendShare(r *Run, on bool) (done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.appendShare(r, on)
}

// appendShare is AppendShare. mu is held.
func (p *File) appendShare(r *Run, on bool) (done bool) {
	p.farewell = layout.AppendShare(p.farewell[:0], layout.Share{Series: r.number, On: on})
	if !p.logRoom(len(p.farewell)) {
		return false
	}
	p.append(p.farewell)
	p.livingBytes -= int(r.share)
	r.share = 0
	if on {
		r.share = uint32(layout.RecordBytes(len(p.farewell)))
		p.livingBytes += int(r.share)
	}
	return true
}

// Retire refuses appends from now on. When Retire returns, every appended series is in its cells.
func (p *File) Retire() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
}

// Retired reports whether all series of the file move to another file, or stay where they are for
// good: after Retire or Close.
func (p *File) Retired() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// Close gives up the file: its values stay for the readers, and the owner counts as dead from now
// on. Cells still in use no longer reach the file. Close removes a file that was not published.
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

// unlock drops the lock. unlock comes last: a reader that finds the lock free takes the values as
// final.
func (p *File) unlock() error {
	if p.broken {
		return p.file.Close()
	}
	return p.db.Close()
}

// forsake gives up a file of another process, the parent of a forked process: writes of the forked
// process no longer reach the file, and the file stays locked as long as the parent lives. forsake
// waits for no lock: a thread of the parent may have had the lock during the fork.
func (p *File) forsake() error {
	if !p.growing.TryLock() {
		return errors.New("the file grew during the fork")
	}
	defer p.growing.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	// bbolt's Close would unlock the file, and the parent shares the lock. A mapping keeps the file
	// open, and so the lock, as a descriptor does.
	errs := p.detach()
	if !p.broken {
		errs = append(errs, mapped.UnmapAt(p.db.Info().Data))
	}
	return errors.Join(append(errs, p.file.Close())...)
}

func (p *File) detach() []error {
	errs := make([]error, 0, len(p.slabs))
	for _, s := range p.slabs {
		errs = append(errs, s.region.Detach())
	}
	return errs
}
