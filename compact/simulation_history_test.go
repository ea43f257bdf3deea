package compact

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// scenario is who takes part in a simulation and what they count.
type scenario struct {
	dead     []addition   // processes that are dead at the beginning
	lives    [][]addition // processes of the owner, one after the other
	survives bool         // the last one does not die
	scrapes  int
	runs     int // of each of the two compactors
	jump     time.Duration
	jumps    int // of the clock, each at any moment

	absorbed bool // the first of the dead is absorbed at the beginning
	waited   bool // and a jump of the clock ago
	person   []interference
	ahead    time.Duration // of a clock that is set

	backwards bool // the directory lists the newest first

	history []event
	counted map[span]totals // answers of between
}

const year = 365 * 24 * time.Hour

// interference is what a person does to a directory while absorptions are at work.
type interference string

const (
	lockRemoved       interference = "remove compact.lock"
	directoryReplaced interference = "replace the directory"
	archiveRemoved    interference = "remove the archive"
	archiveReplaced   interference = "absorb without locks"
	clockSet          interference = "set the clock"
	clockRight        interference = "set the clock right"
)

// addition is what a process adds to its counters.
type addition struct {
	float float64
	whole uint64
}

// event is a step of the owner, and what all there is amounts to behind it. The
// first event is the beginning.
type event struct {
	what  string
	apply func(m *memory)
	totals
}

// totals are the exact values, rounded once.
type totals struct{ float, whole, kept, live float64 }

// The parts of a sum that depends on the order: 2⁵² and a half is a tie, which
// the smallest of the others decides.
var delicate = []float64{0x1p52, 0.5, 0x1p-55, 0x1p-55, 0x1p-55, 0x1p-55}

// truth is what all events amount to. was is the truth if the directory is not
// replaced after so many of them; nil: the directory is never replaced.
func (s *scenario) truth(was []totals, happened int) []totals {
	var all []totals
	m := s.begin()
	for i, e := range s.history {
		if was == nil {
			all = append(all, e.totals)
			continue
		}
		e.apply(m)
		switch {
		case i < happened:
			all = append(all, was[i])
			continue
		case i == happened:
			m.replace()
		}
		all = append(all, m.totals())
	}
	return all
}

// small is the scenario for schedules that are all tried.
func small() *scenario {
	s := &scenario{
		dead:    []addition{{float: 0x1p52, whole: 1}, {float: 0.5, whole: 2}},
		lives:   [][]addition{{{0x1p-55, 10}, {0x1p-55, 100}}},
		scrapes: 2,
		runs:    1,
	}
	s.write()
	return s
}

// pruning is one where the clock jumps so far that ids are pruned.
func pruning() *scenario {
	s := &scenario{
		dead:    []addition{{float: 0x1p52, whole: 1}},
		lives:   [][]addition{{{0.5, 10}}, {{0x1p-55, 100}}},
		scrapes: 2,
		runs:    1,
		jump:    idRetention + 2*pruneSlack,
		jumps:   1,

		backwards: true,
	}
	s.write()
	return s
}

// disturbed is one where a person does something to the directory, which has an
// archive. Only the scrapes behind it are checked.
func disturbed(what ...interference) *scenario {
	s := &scenario{
		absorbed: true,
		dead:     []addition{{float: 0x1p52, whole: 1}, {float: 0.5, whole: 2}},
		lives:    [][]addition{{{0x1p-55, 10}}},
		runs:     1,
		person:   what,
	}
	s.write()
	return s
}

// lasting is one where the archive is removed, and scrapes go on.
func lasting() *scenario {
	s := disturbed(archiveRemoved)
	s.scrapes = 1
	return s
}

// first is one without an archive.
func first(what ...interference) *scenario {
	s := disturbed(what...)
	s.absorbed = false
	return s
}

// behind is one where ids may be pruned, and where the clock is a year behind from some moment on.
func behind() *scenario {
	s := disturbed(clockSet)
	s.waited, s.jump, s.ahead = true, idRetention+2*pruneSlack, -year
	return s
}

// wrong is one where the clock is a year ahead meanwhile.
func wrong() *scenario {
	s := &scenario{
		absorbed: true,
		dead:     []addition{{float: 0x1p52, whole: 1}, {float: 0.5, whole: 2}},
		lives:    [][]addition{{{0x1p-55, 10}}, {{0x1p-55, 100}}},
		scrapes:  1,
		runs:     2,
		jump:     idRetention + 2*pruneSlack,
		jumps:    1,
		person:   []interference{clockSet, clockRight},
		ahead:    year,
	}
	s.write()
	return s
}

// random is another scenario for each seed.
func random(r *rand.Rand, pruning bool) *scenario {
	s := &scenario{scrapes: 1 + r.IntN(4), runs: 1 + r.IntN(2), survives: r.IntN(2) == 0, backwards: r.IntN(2) == 0}
	whole := uint64(1)
	next := func() addition {
		whole *= 2
		return addition{delicate[r.IntN(len(delicate))], whole}
	}
	for range r.IntN(4) {
		s.dead = append(s.dead, next())
	}
	for range 1 + r.IntN(2) {
		var life []addition
		for range r.IntN(4) {
			life = append(life, next())
		}
		s.lives = append(s.lives, life)
	}
	if pruning {
		s.runs += 2              // of which some come behind a jump
		s.jumps = 3 + r.IntN(10) // of which some come late
		s.jump = idRetention/2 + time.Duration(r.Int64N(int64(2*idRetention)))
	}
	if r.IntN(2) == 0 {
		for range 1 + r.IntN(3) {
			s.person = append(s.person, []interference{lockRemoved, archiveReplaced}[r.IntN(2)])
		}
		s.absorbed = len(s.dead) > 0 && r.IntN(4) > 0
		if s.jumps = min(s.jumps, 8); r.IntN(3) == 0 { // less than a day, as long as a wrong clock is not believed
			s.person = append(s.person, clockSet, clockRight)
			s.ahead = []time.Duration{year, -year}[r.IntN(2)]
		}
		switch r.IntN(4) {
		case 0:
			s.person[r.IntN(len(s.person))] = directoryReplaced
		case 1:
			s.person = []interference{archiveRemoved}
		}
	}
	s.write()
	return s
}

// begin makes the directory as it is at the beginning.
func (s *scenario) begin() *memory {
	m := newMemory()
	m.backwards, m.disturbed = s.backwards, len(s.person) > 0
	for i, a := range s.dead {
		f := m.make(i + 1)
		f.set(i)
		f.add(a)
		f.alive = false
	}
	return m
}

// write works the history out, by doing it.
func (s *scenario) write() {
	m := s.begin()
	note := func(what string, apply func(*memory)) {
		apply(m)
		s.history = append(s.history, event{what: what, apply: apply, totals: m.totals()})
	}
	note("begin", func(*memory) {})
	for i, life := range s.lives {
		process := len(s.dead) + i
		file := func(m *memory) *memoryFile { return m.files[layout.FileName(process+1, idOf(uint64(process+1)))] }
		note("open", func(m *memory) { m.make(process + 1).set(process) })
		for _, a := range life {
			note("add", func(m *memory) { file(m).add(a) })
		}
		if i+1 < len(s.lives) || !s.survives {
			note("die", func(m *memory) { file(m).alive = false })
		}
	}
}

// set sets both gauges: to other bits for each process, so that a sum says whose
// are in it.
func (f *memoryFile) set(process int) {
	bit := layout.EncodeGauge(math.Ldexp(1, process))
	f.cells[keptAt], f.cells[liveAt] = bit, bit
}

// add adds to both counters, as a store does: the float part of one process is
// a float64.
func (f *memoryFile) add(a addition) {
	float := math.Float64frombits(f.cells[floatAt+1]) + a.float
	f.cells[floatAt+1] = math.Float64bits(float)
	f.cells[wholeAt] += a.whole
}

// totals adds all files up while nobody has absorbed any.
func (m *memory) totals() totals { return m.since(nil) }

// since is totals without the counts of an earlier state.
func (m *memory) since(earlier *memory) totals {
	const precision = 4096 // bits, more than lie between any two float64
	sum := func(value func(*memoryFile) float64) float64 {
		exact := new(big.Float).SetPrec(precision)
		for _, f := range m.files {
			exact.Add(exact, new(big.Float).SetPrec(precision).SetFloat64(value(f)))
		}
		if earlier != nil {
			for _, f := range earlier.files {
				exact.Sub(exact, new(big.Float).SetPrec(precision).SetFloat64(value(f)))
			}
		}
		rounded, _ := exact.Float64() // to nearest, ties to even
		return rounded
	}
	gauge := func(word uint64) float64 {
		v, _ := layout.DecodeGauge(word)
		return v
	}
	return totals{
		float: sum(func(f *memoryFile) float64 { return math.Float64frombits(f.cells[floatAt+1]) }),
		whole: sum(func(f *memoryFile) float64 { return float64(f.cells[wholeAt]) }),
		kept:  sum(func(f *memoryFile) float64 { return gauge(f.cells[keptAt]) }),
		live: sum(func(f *memoryFile) float64 {
			if !f.alive {
				return 0
			}
			return gauge(f.cells[liveAt])
		}),
	}
}

// at is the directory after so many events, while nobody has absorbed any.
func (s *scenario) at(events int) *memory {
	m := s.begin()
	for _, e := range s.history[:events+1] {
		e.apply(m)
	}
	return m
}

// between is what is counted from one event to another event.
func (s *scenario) between(from, to int) totals {
	key := span{first: from, last: to}
	t, known := s.counted[key]
	if !known {
		if s.counted == nil {
			s.counted = map[span]totals{}
		}
		t = s.at(to).since(s.at(from))
		s.counted[key] = t
	}
	return t
}

// checkRestarted compares what a scrape showed after a restart of totals with the counts since each
// event of the time without an archive. Gauges of the dead are lost with the archive.
func (s *scenario) checkRestarted(lost span, first, last int, got totals) error {
	var admissible []totals
	for from := lost.first; from <= lost.last; from++ {
		for now := max(from, first); now <= last; now++ {
			want := s.between(from, now)
			if got.float == want.float && got.whole == want.whole {
				return nil
			}
			admissible = append(admissible, want)
		}
	}
	return fmt.Errorf("%b after a restart of totals, want one of %b, event %d to %d", got, admissible, first, last)
}

// check compares what a scrape showed with every moment of its time: first and
// last are the events that had happened when it began and when it ended. It
// compares bits, not numbers.
func check(truth []totals, first, last int, got totals) error {
	for _, c := range []struct {
		name  string
		value func(totals) float64
	}{
		{"float_total", func(t totals) float64 { return t.float }},
		{"whole_total", func(t totals) float64 { return t.whole }},
		{"kept", func(t totals) float64 { return t.kept }},
		{"live", func(t totals) float64 { return t.live }},
	} {
		admissible := []float64{}
		found := false
		for _, t := range truth[first : last+1] {
			want := c.value(t)
			admissible = append(admissible, want)
			found = found || math.Float64bits(want) == math.Float64bits(c.value(got))
		}
		if !found {
			return fmt.Errorf("%s is %b, want one of %b, event %d to %d", c.name, c.value(got), admissible, first, last)
		}
	}
	return nil
}
