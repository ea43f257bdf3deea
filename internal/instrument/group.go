package instrument

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/mpmetrics/mpmetrics/internal/cell"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// group writes a commit group; cells.go of package layout describes the three
// steps, and the methods below repeat their numbers.
//
// Only the commit word is stored atomically. The other words are plain: within
// the process mu orders them, and to a reader in another process they appear
// no later than the commit word that follows them. A reader that sees a bucket too early
// tries again. Each store that is not atomic saves a third of an observation.
type group struct {
	// mu is on the heap: no other process ever sees mu, and no killed process can hold mu.
	mu    sync.Mutex
	words []uint64 // nil until the series is bound; guarded by mu
	pid   int      // the process to which words belong; guarded by mu
}

// lock takes mu, and reports whether there are words that belong to this process. If not, the
// caller calls rebind before the update: an argument of lock that rebind needs, kept over the
// taking of mu, would take a tenth of an observation, as would the check for a fork after it.
func (g *group) lock() (ready bool) {
	forked := fork.Happened()
	g.mu.Lock()
	return !forked && g.words != nil
}

// rebind sees to it that there are words of the series s, and that they belong to this process.
// mu is held.
func (g *group) rebind(s *Series) {
	for g.words == nil {
		g.mu.Unlock()
		s.Family.onUse()
		g.mu.Lock()
	}
	if fork.Foreign(g.pid) {
		fork.Notice()
		// Parent and child hold a mu of their own each: two writers would tear the
		// group. The child counts on the heap, and no process sees the count.
		g.words, g.pid = make([]uint64, len(g.words)), fork.Pid()
	}
}

// observe adds an observation. mu is held.
func (g *group) observe(v float64, bucket int) {
	words := g.words
	commit := words[layout.CommitWord]
	slot := layout.SlotWord + layout.CommitSlot(commit)
	other := layout.SlotWord + 1 - layout.CommitSlot(commit)
	words[other] = math.Float64bits(math.Float64frombits(words[slot]) + v)                                 // 1
	atomic.StoreUint64(&words[layout.CommitWord], layout.Commit(layout.Commits(commit)+1, max(bucket, 0))) // 2
	if bucket >= 0 {
		words[layout.BucketWord+bucket]++ // 3
	}
}

// commitTimed sets a value and its time, which never goes back. mu is held.
func (g *group) commitTimed(next func(old float64) float64, unixNano int64) {
	words := g.words
	commit := words[layout.CommitWord]
	slot := layout.CommitSlot(commit)
	value := next(math.Float64frombits(words[layout.SlotWord+slot]))
	last := int64(words[layout.TimeWord+slot])
	words[layout.SlotWord+1-slot] = math.Float64bits(value) // 1
	words[layout.TimeWord+1-slot] = uint64(max(unixNano, last+1))
	atomic.StoreUint64(&words[layout.CommitWord], layout.Commit(layout.Commits(commit)+1, 0)) // 2
}

// current returns the commits and the sum or value in force. mu is held.
func (g *group) current() (uint64, float64) {
	if g.words == nil {
		return 0, 0
	}
	commit := g.words[layout.CommitWord]
	return layout.Commits(commit), math.Float64frombits(g.words[layout.SlotWord+layout.CommitSlot(commit)])
}

// read is current for callers without the lock.
func (g *group) read() (uint64, float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.current()
}

// load loads commits, sum, and buckets if there are any. mu keeps observations out meanwhile.
func (g *group) load(out []uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(out)
	commits, sum := g.current()
	out[0], out[1] = commits, math.Float64bits(sum)
	if len(g.words) > layout.BucketWord {
		copy(out[2:], g.words[layout.BucketWord:])
	}
}

// loadTimed loads commits, and value and time in force.
func (g *group) loadTimed(out []uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(out)
	commits, value := g.current()
	out[0], out[1] = commits, math.Float64bits(value)
	if g.words != nil {
		out[2] = g.words[layout.TimeWord+layout.CommitSlot(g.words[layout.CommitWord])]
	}
}

// use moves to cells that hold zeros. mu keeps updates out meanwhile.
func (g *group) use(cells []atomic.Uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	to := cell.Plain(cells)
	copy(to, g.words)
	g.words, g.pid = to, fork.Pid()
}

// keep moves to so many words of the heap.
func (g *group) keep(words int) { g.use(make([]atomic.Uint64, words)) }

// empty reports whether no value was ever observed, or set.
func (g *group) empty() bool {
	commits, _ := g.read()
	return commits == 0
}
