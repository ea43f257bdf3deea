package merge

import (
	"math"
	"math/bits"
	"sync"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// slots are the sums of all counters, side by side: most series of most services are counters, and
// a scrape adds up millions of their cells.
type slots struct {
	whole []count
	float []exact
	free  []int // of no series
}

// take takes a free slot.
func (s *slots) take() int {
	if n := len(s.free); n > 0 {
		slot := s.free[n-1]
		s.free = s.free[:n-1]
		return slot
	}
	s.whole, s.float = append(s.whole, count{}), append(s.float, exact{})
	return len(s.whole) - 1
}

func (s *slots) give(slot int) { s.free = append(s.free, slot) }

func (s *slots) reset() {
	clear(s.whole)
	for i := range s.float {
		s.float[i].reset()
	}
}

// counterRun maps value words of counters to slots. Counters that a process made in a row have
// slots in a row if an earlier process made the same counters in the same order.
type counterRun struct{ slot, at, n uint32 }

// appendRun adds a counter to the last run, or starts a run.
func appendRun(runs []counterRun, slot, at int) []counterRun {
	if len(runs) > 0 {
		last := &runs[len(runs)-1]
		if int(last.slot+last.n) == slot && int(last.at+layout.CounterWords*last.n) == at {
			last.n++
			return runs
		}
	}
	return append(runs, counterRun{uint32(slot), uint32(at), 1})
}

// term maps the values of any other input to a slot, or of several inputs of one definition in a
// row, like counterRun.
type term struct {
	family    *layout.Family // the member's own definition
	buckets   []int          // own bucket to merged bucket; nil if both are the same
	slot, at  int            // of the first
	n         int
	words     int  // of the values of one input
	stretches bool // false for a gauge: a later input of the same gauge replaces the slot's input
}

// appendTerm adds an input to the last term, or starts a term.
func appendTerm(terms []term, d *definition, slot, at int) []term {
	if len(terms) > 0 {
		last := &terms[len(terms)-1]
		if last.stretches && last.family == d.family && last.slot+last.n == slot && last.at+last.n*last.words == at {
			last.n++
			return terms
		}
	}
	return append(terms, term{
		family: d.family, buckets: d.buckets, slot: slot, at: at, n: 1,
		words: d.family.ValueWords(), stretches: !d.merged.Mode.Valid(),
	})
}

// takeOther takes a free slot for a series of any other type than counter.
func (m *Merger) takeOther(s *Series) int {
	if n := len(m.free); n > 0 {
		slot := m.free[n-1]
		m.free = m.free[:n-1]
		m.others[slot] = s
		return slot
	}
	m.others = append(m.others, s)
	return len(m.others) - 1
}

// Values are the values of a member, to be added.
type Values struct {
	Member *Member
	Words  []uint64 // as layout.Family.ValueWords lists them
}

// manyValues is the number of values from which a second goroutine pays off. Goroutines wait for
// manyValues is the least number of values for each goroutine. With fewer values one goroutine is
// as fast as two, because both wait for the same memory and because waking a goroutine takes time:
// some 0.3 ms. A variable for the tests.
var manyValues = 1 << 19

// Add adds the values of a member, in the order of layout.Family.ValueWords.
func (m *Merger) Add(mb *Member, values []uint64) {
	m.add([]Values{{mb, values}}, 0, 1)
}

// AddAll adds the values of many members with at most so many goroutines. Each goroutine adds its
// share of the series, of all members: no two goroutines write the same sum.
func (m *Merger) AddAll(all []Values, goroutines int) {
	n := 0
	for _, v := range all {
		n += len(v.Words)
	}
	goroutines = max(1, min(goroutines, n/manyValues))
	var others sync.WaitGroup
	for part := 1; part < goroutines; part++ {
		others.Go(func() { m.add(all, part, goroutines) })
	}
	m.add(all, 0, goroutines)
	others.Wait()
}

// add adds the values of one share of the series.
func (m *Merger) add(all []Values, part, parts int) {
	// Neighbours in memory, and in the lists of a member, mostly belong to the same share.
	share := func(n int) (from, to int) { return n * part / parts, n * (part + 1) / parts }
	from, to := share(len(m.slots.whole))
	first, last := share(len(m.others))
	addRuns := func(counters []counterRun, terms []term, values []uint64) {
		for _, run := range counters {
			m.slots.add(run, values, from, to)
		}
		for i := range terms {
			t := &terms[i]
			for slot := max(t.slot, first); slot < min(t.slot+t.n, last); slot++ {
				m.others[slot].total.add(t.family, values[t.at+(slot-t.slot)*t.words:], t.buckets)
			}
		}
	}
	for _, v := range all {
		addRuns(v.Member.counters, v.Member.terms, v.Words)
		addRuns(v.Member.shares.counters, v.Member.shares.terms, v.Words)
	}
}

// add adds the part of a run between two slots.
func (s *slots) add(run counterRun, values []uint64, from, to int) {
	first, last := max(int(run.slot), from), min(int(run.slot+run.n), to)
	if first >= last {
		return
	}
	whole := s.whole[first:last]
	values = values[int(run.at)+layout.CounterWords*(first-int(run.slot)):][:layout.CounterWords*len(whole)]
	for i := range whole {
		w, carry := &whole[i], uint64(0)
		w.lo, carry = bits.Add64(w.lo, values[2*i], 0)
		w.hi += carry
		if float := values[2*i+1]; float != 0 {
			s.float[first+i].add(math.Float64frombits(float))
		}
	}
}

// Counter returns the value of a counter without a mode, rounded once, and 0 of
// another series.
func (m *Merger) Counter(s *Series) float64 {
	if !s.family.counter() {
		return 0
	}
	return m.slots.whole[s.slot].plus(&m.slots.float[s.slot])
}
