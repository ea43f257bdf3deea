package merge

import (
	"math"
	"math/bits"
	"sync"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// slots are the sums of all counters, side by side: most series of most services are
// counters, and a scrape adds millions of their cells up.
type slots struct {
	whole []count
	float []exact
	free  []int // that no series has
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

// counterRun says where the value words of counters go: those that a process made
// one after the other have slots one after the other, if another process had made
// them in that order before.
type counterRun struct{ slot, at, n uint32 }

// appendRun adds a counter to the last run, or begins one.
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

// Values are what a member adds.
type Values struct {
	Member *Member
	Words  []uint64 // as layout.Family.ValueWords describes them
}

// manyValues is when it pays to wake another goroutine: some ten microseconds of work.
const manyValues = 1 << 14

// Add adds the values of a member, as layout.Family.ValueWords describes them.
func (m *Merger) Add(mb *Member, values []uint64) {
	m.add([]Values{{mb, values}}, 0, 1)
}

// AddAll adds the values of many, by so many goroutines at most. Each has a part of
// the series, of all members: nothing is written by two.
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

// add adds one of so many parts of the series.
func (m *Merger) add(all []Values, part, parts int) {
	// Neighbours in memory, and in the lists of a member, are mostly of one part.
	share := func(n int) (from, to int) { return n * part / parts, n * (part + 1) / parts }
	from, to := share(len(m.slots.whole))
	first, last := share(m.made)
	for _, v := range all {
		for _, run := range v.Member.counters {
			m.slots.add(run, v.Words, from, to)
		}
		for i := range v.Member.terms {
			if t := &v.Member.terms[i]; first <= t.slot && t.slot < last {
				t.series.total.add(t.family, v.Words[t.at:], t.buckets)
			}
		}
	}
}

// add adds what of a run is between two slots.
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
