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

// maxCommitTries bounds the reading of one commit group. While 32 goroutines observe without pause,
// the first try succeeds for 99 % of the groups.
const maxCommitTries = 10_000

// run is a run of words, each loaded alone. Counters and gauges that were made in a row form one
// run.
type run struct {
	slab        *slab
	word, at, n int // index in the slab, index in the values, number of words
}

// group is a commit group, or several commit groups of one family that were made in a row.
type group struct {
	family   *layout.Family
	slab     *slab
	word, at int // of the first group, in the slab and in the values
	n        int // number of groups
	step     int // words in the slab from one group to the next

	cells, values int // words of one group, in the slab and in the values
}

// extend takes another group in, if the group follows the last group.
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

// maxLoads bounds the loads of cells. A load is repeated if some cells belong to a series that was
// deleted meanwhile.
const maxLoads = 8

// stopped is a time between two others. It is far shorter than the rest of deleted cells and log
// slabs before their next use. It is far longer than the way from the log to the cells, unless the
// reader was stopped on the way.
const stopped = 100 * time.Millisecond

// plan adds the cells of an entry to the runs or the groups.
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

// planAnew plans all entries without the deleted entries. The cells of a deleted entry may belong
// to another series by now, even of another kind.
func (r *File) planAnew() {
	if r.left == r.table.Gone() {
		return
	}
	r.runs, r.groups = r.runs[:0], r.groups[:0]
	var s *slab // slab of the entry before: most entries share the slab
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

// Load loads the cells of all entries and returns their values, as layout.Family.ValueWords
// describes the values of an entry, from the entry's At on. The slice belongs to the File. The next
// Load overwrites the slice, unless the Load fails. The values of a Gone entry have no meaning:
// check Gone after Load.
//
// Load reads the log again after the cells. The owner uses the cells of a deleted series again
// after a minute, and a reader may be stopped between the log and the cells for longer.
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

// scratch holds the cells while they are loaded, because a failed load must leave the values as
// they are. One buffer serves all files, and stays in the caches of the processor.
var scratch sync.Pool

// loadLiving loads until no series is deleted during the load. After maxLoads tries the deleted
// series are skipped, together with the series in the same cells: those have a gap.
func (r *File) loadLiving(into *[]uint64) error {
	for try := 1; ; try++ {
		*into = slices.Grow((*into)[:0], len(r.values))[:len(r.values)]
		r.planAnew()
		if r.table.Gone() > 0 {
			copy(*into, r.values) // skipped values stay, instead of another file's
		}
		ends := false
		err := r.guard(func() error {
			err := r.load(*into)
			ends = r.logEnds()
			return err
		})
		if time.Since(r.refreshed) > stopped {
			// The owner may have rewritten the log, and may use the old slabs again.
			if err := r.snapshot(); err != nil {
				return err
			}
			// The snapshot may have other mirrored families: their counts and native buckets belong
			// together, and new series have no values yet.
			loaded := len(*into)
			*into = slices.Grow(*into, len(r.values)-loaded)[:len(r.values)]
			clear((*into)[loaded:])
			r.table.CopyFixed(*into)
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
	// The words of a counter are loaded in order. Both words only grow. So the loaded sum lies
	// between the sums before and after the load, and is never below an earlier load.
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

// loadGroup loads a commit group. A group whose parts do not add up is damaged if no process writes
// to the group, and busy otherwise.
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

// loadCommitted loads a commit group, if no commit interrupts the load. cells.go of package layout
// proves the check.
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
