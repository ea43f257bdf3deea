package reader

import (
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// maxCommitTries bounds the reading of one commit group. With 32 goroutines
// observing without pause 99 % are read at the first try.
const maxCommitTries = 10_000

// run is a run of words that are loaded one by one, as they are: counters and
// gauges that were made one after the other are one run.
type run struct {
	slab        *slab
	word, at, n int // in the slab, in values, and how many
}

// group is a commit group, or several of one family that were made one after the
// other.
type group struct {
	family   *layout.Family
	slab     *slab
	word, at int // of the first, in the slab and in values
	n        int // groups
	step     int // words from one to the next in the slab

	cells, values int // words of one, there and here
}

// extend takes another group in, if it is the next one.
func (g *group) extend(f *layout.Family, s *slab, word, at int) bool {
	if g.family != f || g.slab != s || g.at+g.n*g.values != at {
		return false
	}
	if g.n == 1 {
		g.step = word - g.word
	}
	if g.step < g.cells || g.word+g.n*g.step != word {
		return false
	}
	g.n++
	return true
}

// maxLoads bounds how often cells are loaded because some of them turned out to
// be those of a series that was deleted meanwhile.
const maxLoads = 8

// stopped is far below how long cells and log slabs rest, and far above what is
// between the log and the cells unless a reader is stopped there.
const stopped = 100 * time.Millisecond

// plan notes how the cells of an entry in a slab are loaded.
func (r *File) plan(e *Entry, s *slab) {
	f, word, at := r.table.Families()[e.Family], int(e.Cells.Word), e.At
	if f.CellWords() != f.ValueWords() {
		if k := len(r.groups); k == 0 || !r.groups[k-1].extend(f, s, word, at) {
			r.groups = append(r.groups, group{family: f, slab: s, word: word, at: at, n: 1, cells: f.CellWords(), values: f.ValueWords()})
		}
		return
	}
	n := f.CellWords()
	if len(r.runs) > 0 {
		last := &r.runs[len(r.runs)-1]
		if last.slab == s && last.word+last.n == word && last.at+last.n == at {
			last.n += n
			return
		}
	}
	r.runs = append(r.runs, run{s, word, at, n})
}

// planAnew leaves out what is gone: its cells may be those of another series by
// now, and of another kind.
func (r *File) planAnew() {
	if r.left == r.table.Gone() {
		return
	}
	r.runs, r.groups = r.runs[:0], r.groups[:0]
	var s *slab // of the entry before: most are in the same one
	entries := r.table.Entries()
	for i := range entries {
		e := &entries[i]
		if e.Gone || e.Mirrored {
			continue
		}
		if s == nil || s.header.Number != e.Cells.Slab {
			s = r.slabs[e.Cells.Slab]
		}
		r.plan(e, s)
	}
	r.left = r.table.Gone()
}

// Load loads the cells of all entries and returns their values, as
// layout.Family.ValueWords describes them, each entry's from its At on. The
// slice belongs to the File and is written again by the next Load, unless that
// fails. What stands for an entry that is gone means nothing: look at Gone
// afterwards.
//
// The log is looked at once more behind the cells. Cells are used again a minute
// after their series was deleted, but a reader may have been stopped for longer
// than that between the log and the cells.
func (r *File) Load() ([]uint64, error) {
	if r.final {
		return r.values, nil
	}
	into, _ := scratch.Get().(*[]uint64)
	if into == nil {
		into = new([]uint64)
	}
	defer scratch.Put(into)
	if err := r.loadLiving(into); err != nil {
		return nil, &fs.PathError{Op: "read cells", Path: r.path, Err: err}
	}
	copy(r.values, *into)
	return r.values, nil
}

// scratch is where cells are loaded to: a loading that fails leaves the values as
// they are. It is used for one file after the other, and so is near at hand.
var scratch sync.Pool

// loadLiving loads until nothing was deleted meanwhile. After some tries what was
// deleted is left out, and what was made in its place: a gap.
func (r *File) loadLiving(into *[]uint64) error {
	for try := 1; ; try++ {
		*into = slices.Grow((*into)[:0], len(r.values))[:len(r.values)]
		r.planAnew()
		if r.table.Gone() > 0 {
			copy(*into, r.values) // where nothing is loaded stands what was there, not another file's
		}
		ends := false
		err := r.guard(func() error {
			err := r.load(*into)
			ends = r.logEnds()
			return err
		})
		if time.Since(r.refreshed) > stopped {
			// The log may have been written anew, and its slabs be used again.
			if err := r.snapshot(); err != nil {
				return err
			}
			ends = false
		}
		if !ends {
			if ahead := r.lookAhead(); ahead != nil {
				return ahead
			}
		}
		if r.left == r.table.Gone() || try == maxLoads {
			return err
		}
		if err := r.readLog(); err != nil {
			return err
		}
	}
}

func (r *File) load(into []uint64) error {
	// The words of a counter are loaded one after the other. Both only grow:
	// the sum lies between what it was before and after, and never below what
	// was loaded before.
	for _, run := range r.runs {
		from, to := run.slab.words[run.word:run.word+run.n], into[run.at:run.at+run.n]
		for i := range from {
			to[i] = from[i].Load()
		}
	}
	r.table.CopyFixed(into)
	for i := range r.groups {
		g := &r.groups[i]
		word, at := g.word, g.at
		for range g.n {
			if err := loadGroup(g.family, g.slab.words[word:word+g.cells], into[at:at+g.values]); err != nil {
				return err
			}
			word, at = word+g.step, at+g.values
		}
	}
	return nil
}

// loadGroup loads a commit group. One whose parts do not add up although nobody
// writes to it is damaged, and not busy.
func loadGroup(f *layout.Family, words []atomic.Uint64, out []uint64) error {
	commit, moves := words[layout.CommitWord].Load(), false
	for try := range maxCommitTries {
		if loadCommitted(f, words, out) {
			return nil
		}
		moves = moves || words[layout.CommitWord].Load() != commit
		if try%64 == 63 {
			runtime.Gosched()
		}
	}
	if !moves {
		return fmt.Errorf("cells of %q do not add up: %w", f.Name, layout.ErrDamaged)
	}
	return fmt.Errorf("cells of %q after %d tries: %w", f.Name, maxCommitTries, ErrBusy)
}

// loadCommitted takes a commit group if it stands still meanwhile; cells.go of
// layout says why that is enough.
func loadCommitted(f *layout.Family, words []atomic.Uint64, out []uint64) bool {
	commit := words[layout.CommitWord].Load()
	slot := layout.CommitSlot(commit)
	if f.Mode.Timed() {
		out[0] = layout.Commits(commit)
		out[1] = words[layout.SlotWord+slot].Load()
		out[2] = words[layout.TimeWord+slot].Load()
		return words[layout.CommitWord].Load() == commit
	}
	out[0] = layout.Commits(commit)
	buckets := words[layout.BucketWord:]
	var total uint64
	for i := range out[2:][:len(buckets)] {
		n := buckets[i].Load()
		out[2+i] = n
		total += n
	}
	out[1] = words[layout.SlotWord+slot].Load()
	if words[layout.CommitWord].Load() != commit {
		return false
	}
	if f.Type == layout.Summary {
		return true
	}
	switch index := layout.CommitIndex(commit); {
	case total == out[0]:
		return true
	case total+1 == out[0] && index < len(buckets):
		out[2+index]++
		return true
	}
	return false
}
