package ownerfile

import (
	"time"

	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mapped"
)

// Run is a published series in the file: its number, and its run of cells.
type Run struct {
	slab   *slab
	number uint32 // of the series
	word   uint32 // in the body of the slab
	words  uint32
	record uint32 // bytes of the record in the log
	share  uint32 // bytes of its share record in the log; 0: the series is no share
}

// Share reports whether the series is a share.
func (r *Run) Share() bool { return r.share > 0 }

func (r *Run) place() layout.Place { return layout.Place{Slab: r.slab.header.Number, Word: r.word} }

// resting is a run without a writer. Readers that have not yet read the gone record may still load
// the run.
type resting struct {
	Run
	since time.Time
}

// freed are the runs of cells of deleted series. The runs become room for new series in three
// steps:
//
//  1. collected: no instrument is left that could write to the run.
//  2. resting: the run rests longer than any scrape that began before the gone record.
//  3. free: the owner has zeroed the run, so that a new series finds zeros as in a new slab.
//
// Guarded by File.mu.
type freed struct {
	collected []Run
	resting   []resting        // the longest first
	free      map[uint32][]Run // by words
}

// Free gives the cells of a series back. The caller guarantees that the gone record is in the log
// and that the cells have no writer. A cleanup of the runtime may call Free: Free takes no lock
// held over a system call.
func (p *File) Free(r Run) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.dead {
		p.freed.collected = append(p.freed.collected, r)
	}
}

// Recycle frees the cells that have rested for long enough, and the slabs of former logs. The
// caller runs Recycle in the background, now and then.
func (p *File) Recycle(now time.Time, rest time.Duration) error {
	p.growing.Lock()
	defer p.growing.Unlock()
	if p.closed || p.cut || fork.Foreign(p.pid) {
		return nil
	}
	if err := p.former.recycle(now, rest); err != nil {
		return err
	}
	ready := p.rested(now, rest)
	if len(ready) == 0 {
		return nil
	}
	// The file may have been truncated since Check looked.
	err := mapped.Guard(func() error {
		for _, r := range ready {
			for i := range r.words {
				r.slab.cells[r.word+i].Store(0)
			}
		}
		return nil
	})
	if err != nil {
		return err // the runs are lost, and belong to no series
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.freed.free == nil {
		p.freed.free = map[uint32][]Run{}
	}
	for _, r := range ready {
		p.freed.free[r.words] = append(p.freed.free[r.words], r.Run)
	}
	return nil
}

// rested takes the runs that have rested for long enough. The collected runs start to rest.
func (p *File) rested(now time.Time, rest time.Duration) []resting {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &p.freed
	n := 0
	for n < len(f.resting) && now.Sub(f.resting[n].since) >= rest {
		n++
	}
	ready := append([]resting(nil), f.resting[:n]...)
	f.resting = append(f.resting[:0], f.resting[n:]...)
	for _, r := range f.collected {
		f.resting = append(f.resting, resting{r, now})
	}
	f.collected = f.collected[:0]
	return ready
}

// top is the free run for the next series.
func (f *freed) top(words int) (Run, bool) {
	runs := f.free[uint32(words)]
	if len(runs) == 0 {
		return Run{}, false
	}
	return runs[len(runs)-1], true
}

func (f *freed) pop(words int) {
	runs := f.free[uint32(words)]
	f.free[uint32(words)] = runs[:len(runs)-1]
}

// FreeRuns returns how many runs of cells are free.
func (p *File) FreeRuns() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, runs := range p.freed.free {
		n += len(runs)
	}
	return n
}
