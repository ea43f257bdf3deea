package publisher_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/scan"
	"github.com/mpmetrics/mpmetrics/internal/serverview"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/internal/testing/memoryserver"
)

func stamp(nanos int64) *timestamppb.Timestamp { return timestamppb.New(time.Unix(0, nanos)) }

var modelSeed = flag.Uint64("model.seed", 0, "the one seed of TestModel; 0: many")

// What the server does to its state in a run, beside what the network does.
const (
	faithful = iota // nothing
	forgetful
	anything // processes end without a last flush, too
	kinds
)

// Processes count, are late, come back and end; their updates are lost, repeated and carried out
// later, after others; the server goes back to an older state, loses everything, or drops single
// keys; and absorptions happen at any moment. What is shown never exceeds what was counted, and dips
// only when the server has lost something. When all is well again it is exact.
func TestModel(t *testing.T) {
	first, seeds := uint64(1), uint64(600) // the same each time; others in soak
	if effort.Soak() {
		first, seeds = rand.Uint64(), 100_000
	}
	if testing.Short() {
		seeds = 60
	}
	if *modelSeed != 0 {
		first, seeds = *modelSeed, 1
	}
	for seed := first; seed != first+seeds; seed++ {
		if runModel(t, seed); t.Failed() {
			t.Fatalf("run it again by -model.seed=%d", seed)
		}
	}
}

type model struct {
	*world
	*testing.T
	kind      int
	location  string
	processes []*process
	born      int
	reader    *reader
	dip       bool    // totals may be lower than they were: the server has lost something
	least     float64 // that is shown: the counter
	gone      uint64  // counted in series that are deleted now
	snapshots []*snapshot
	log       []string
}

// snapshot is a state that the server may go back to.
type snapshot struct {
	state *memoryserver.State
	sure  map[*process]values // of the dead
}

// reader is the part of a collector that reads.
type reader struct {
	source  *serverview.Source
	scanner *scan.Scanner
	merger  *merge.Merger
}

func (m *model) newReader(fate func() memoryserver.Fate) *reader {
	r := &reader{merger: merge.New(), source: &serverview.Source{Server: &memoryserver.Client{Server: m.server, Fate: fate}}}
	r.scanner = scan.New(r.source, r.merger, slog.New(slog.DiscardHandler), func(error) {})
	return r
}

// scan returns the series that are shown, by name and labels; nil: cumulative metrics are left out.
func (r *reader) scan() (map[string]*merge.Series, error) {
	if err := r.scanner.Merge(context.Background()); err != nil {
		return nil, err
	}
	all := map[string]*merge.Series{}
	for _, f := range r.merger.Families() {
		for _, s := range f.Series {
			name := f.Name
			for _, l := range s.Labels {
				name += l.Value
			}
			all[name] = s
		}
	}
	return all, nil
}

func runModel(t *testing.T, seed uint64) {
	m := &model{T: t, world: &world{t: t, rand: rand.New(rand.NewPCG(seed, 0)), server: memoryserver.New()}, kind: int(seed % kinds)}
	defer func() {
		if t.Failed() {
			t.Logf("seed %d, kind %d:\n%s", seed, m.kind, strings.Join(m.log, "\n"))
		}
	}()
	compactor := &memoryserver.Client{Server: m.server, Fate: m.fate}
	m.location = compactor.Location()
	m.reader = m.newReader(m.fate)
	defer m.reader.scanner.Close()
	for range 1 + m.rand.IntN(3) {
		m.start()
	}
	for round := 0; round < 4 && !t.Failed(); round++ {
		m.faulty = true
		for range 40 {
			m.step()
		}
		m.heal()
	}
	for _, p := range m.processes {
		if !p.dead {
			m.end(p)
		}
	}
	m.settle()
	m.server.Advance(time.Hour / 2)
	m.absorb()
	m.exact("all have ended and are absorbed")
}

func (m *model) say(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf(format, args...))
}

func (m *model) sayState() {
	m.server.Do(func(s *memoryserver.State) {
		for id, p := range s.Partitions {
			m.say("  %v seq %d taken %v hashes %d %d %d ends %v", id, p.Seq, p.Taken, len(p.Families), len(p.Series), len(p.Values), s.Ends[id].Sub(s.Now))
		}
	})
}

func (m *model) start() {
	m.born++
	p := newModelProcess(m.world, fmt.Sprint("p", m.born))
	m.processes = append(m.processes, p)
	m.say("%s starts", p.name)
}

func (m *model) living() (all []*process) {
	for _, p := range m.processes {
		if !p.dead {
			all = append(all, p)
		}
	}
	return all
}

// step is one thing that happens.
func (m *model) step() {
	living := m.living()
	if len(living) == 0 {
		m.start()
		return
	}
	p := living[m.rand.IntN(len(living))]
	switch n := m.rand.IntN(100); {
	case n < 35:
		before := p.values["c_total/gone"]
		p.count(m.world)
		if before != nil && (p.values["c_total/gone"] == nil || &before[0] != &p.values["c_total/gone"][0]) {
			m.gone += before[0]
		}
	case n < 60:
		if m.now().Before(p.late) {
			return
		}
		m.say("%s flushes: %v", p.name, p.flush(false))
	case n < 70:
		m.show()
	case n < 78:
		d := time.Duration(m.rand.IntN(1500)) * time.Millisecond
		m.server.Advance(d)
		m.say("%v pass", d)
	case n < 82:
		p.late = m.now().Add(2 * modelLife)
		m.say("%s is late", p.name)
	case n < 88:
		m.absorb()
	case n < 91:
		m.deliver()
	case n < 93:
		if m.kind == forgetful {
			return
		}
		if m.kind == anything && m.rand.IntN(2) == 0 {
			m.say("%s is killed", p.name)
			p.dead = true
			return
		}
		m.end(p)
	case n < 95:
		if len(m.processes) < 8 {
			m.start()
		}
	case n < 97:
		s := &snapshot{m.server.Snapshot(), map[*process]values{}}
		for _, p := range m.processes {
			s.sure[p] = p.sure.clone()
		}
		m.snapshots = append(m.snapshots, s)
		m.say("snapshot %d", len(m.snapshots)-1)
	default:
		if m.kind != faithful {
			m.lose()
		}
	}
}

// end ends a process as Close does, for as long as it takes to be answered.
func (m *model) end(p *process) {
	m.say("%s ends", p.name)
	for tries := 0; !p.flush(true); tries++ {
		if tries == 1000 {
			m.Fatalf("%s cannot end", p.name)
		}
	}
	p.dead = true
}

func (m *model) deliver() {
	m.say("late updates come")
	m.server.Deliver(m.rand.IntN)
}

func (m *model) absorb() {
	report, err := compact.Run(context.Background(), m.location, compact.Opts{Logger: slog.New(slog.DiscardHandler)})
	m.say("absorbed %d: %v", report.Absorbed, err)
	if err != nil && !errors.Is(err, compact.ErrBusy) && !errors.Is(err, remote.ErrUnreachable) {
		m.Errorf("absorb: %v", err)
	}
	if len(report.Quarantined) > 0 && m.kind == faithful {
		m.Errorf("put aside: %v", report.Quarantined)
	}
}

// lose makes the server lose something.
func (m *model) lose() {
	m.dip = true
	switch n := m.rand.IntN(10); {
	case n < 4 && len(m.snapshots) > 0:
		i := m.rand.IntN(len(m.snapshots))
		m.say("the server goes back to snapshot %d", i)
		s := m.snapshots[i]
		m.server.GoBack(s.state)
		for _, p := range m.processes {
			m.lost(p, s.sure[p])
		}
	case n < 5:
		m.say("the server loses everything")
		m.server.Lose()
		for _, p := range m.processes {
			m.lost(p, nil)
		}
	default:
		m.server.Do(m.drop)
		for _, p := range m.processes {
			m.lost(p, nil)
		}
	}
}

// lost notes that of a process no more is sure than what was once, until it flushes.
func (m *model) lost(p *process, sure values) {
	for name, words := range p.sure {
		if sure[name] == nil {
			delete(p.sure, name)
		} else if sure[name][0] < words[0] {
			p.sure[name] = sure[name]
		}
	}
}

// drop drops one key, as a server does that lacks memory.
func (m *model) drop(s *memoryserver.State) {
	what := m.rand.IntN(7)
	switch what {
	case 0:
		s.Epoch, s.Generation = "", ""
		clear(s.Archive)
	case 1:
		clear(s.Ends)
	case 2:
		clear(s.Sequences)
	default:
		ids := slices.SortedFunc(maps.Keys(s.Partitions), func(a, b layout.ID) int { return slices.Compare(a[:], b[:]) })
		// What was absorbed stays: a process that has nothing but its last answer to go by
		// may be wrong by one interval, see TestBaseIsGone.
		ids = slices.DeleteFunc(ids, func(id layout.ID) bool { return s.Partitions[id].Taken })
		if len(ids) == 0 {
			return
		}
		p := s.Partitions[ids[m.rand.IntN(len(ids))]]
		switch what {
		case 3:
			p.Header, p.Seq, p.Start, p.Taken = "", 0, 0, false
		case 4:
			clear(p.Families)
		case 5:
			clear(p.Series)
		case 6:
			clear(p.Values)
		}
	}
	m.say("the server drops a key: %d", what)
}

// bounds are how much of a whole number there is at least and at most.
func (m *model) bounds(name string) (least, most uint64) {
	for _, p := range m.processes {
		low, high := p.sure, p.values
		if p.dead {
			high = p.tried
		}
		if low[name] != nil {
			least += low[name][0]
		}
		if high[name] != nil {
			most += high[name][0]
		}
	}
	return least, most
}

// show scrapes at any moment.
func (m *model) show() {
	shown, err := m.reader.scan()
	if err != nil {
		m.say("not shown: %v", err)
		return
	}
	s := shown["c_total"]
	if s == nil {
		return
	}
	got := m.reader.merger.Counter(s)
	_, most := m.bounds("c_total")
	f := m.float("c_total", 0)
	if got > float64(most)+f+1e-9 {
		m.Errorf("%v is shown, and %v was counted", got, float64(most)+f)
		for _, seen := range m.reader.scanner.Seen() {
			m.say("  %v live %v held %v gone %v err %v", seen.Name, seen.Live, seen.Held, seen.Gone, seen.Err)
		}
	}
	if got < m.least && !m.dip {
		m.Errorf("%v is shown after %v", got, m.least)
	}
	m.least = got
	m.say("%v is shown", got)
}

// settle lets all late updates come, and all living processes publish.
func (m *model) settle() {
	m.faulty = false
	m.deliver()
	m.server.Advance(modelLife) // who was killed is dead
	for _, p := range m.living() {
		if p.late = (time.Time{}); !p.flush(false) {
			m.Errorf("%s cannot flush", p.name)
		}
	}
}

// heal ends all faults, and checks what there is then.
func (m *model) heal() {
	m.say("heal")
	m.settle()
	m.sayState()
	m.show()
	m.exact("it is well again")
	m.show()
	if m.kind != anything { // what was lost of the dead may show later: last good values are kept for a while
		m.dip = false
	}
}

// exact checks everything against the truth, through a reader that knows nothing yet.
func (m *model) exact(when string) {
	r := m.newReader(nil)
	defer r.scanner.Close()
	shown, err := r.scan()
	if err != nil {
		m.Errorf("%s: %v", when, err)
		return
	}
	for _, name := range []string{"c_total", "h", "y", "m_total", "n"} {
		least, most := m.bounds(name)
		words, of := m.words(name)
		if of == 0 || least == 0 && shown[name] == nil {
			continue
		}
		if shown[name] == nil {
			m.Errorf("%s: no %s", when, name)
			continue
		}
		whole := uint64(0)
		if name == "c_total" || name == "m_total" {
			whole = words[0]
		}
		total := m.float(name, whole)
		count, sum := shown[name].Observations()
		switch {
		case name == "c_total" || name == "m_total":
			counter := r.merger.Counter(shown[name])
			if m.sure() && counter != total || counter < float64(least) || counter > float64(most)+total {
				m.Errorf("%s: %s is %v, want %v, %d to %d whole", when, name, counter, total, least, most)
			}
		case m.sure() && (count != most || sum != total) || count < least || count > most:
			m.Errorf("%s: %s has %d of sum %v, want %d of %v, at least %d", when, name, count, sum, most, total, least)
		}
		if name == "h" && m.sure() {
			for i, n := range shown[name].Buckets() {
				if n != words[2+i] {
					m.Errorf("%s: bucket %d has %d, want %d", when, i, n, words[2+i])
				}
			}
		}
		if name == "n" && shown[name].Native().Observations() != count {
			m.Errorf("%s: native buckets of %d, want %d", when, shown[name].Native().Observations(), count)
		}
	}
	m.gauges(when, shown)
	least, most := uint64(0), m.gone
	for _, p := range m.processes {
		if words := p.values["c_total/gone"]; words != nil {
			most += words[0]
			if !p.dead {
				least += words[0]
			}
		}
	}
	if s := shown["c_total/gone"]; s == nil && least > 0 || s != nil && (r.merger.Counter(s) < float64(least) || r.merger.Counter(s) > float64(most)) {
		m.Errorf("%s: deleted series: %v, want %d to %d", when, s, least, most)
	}
}

// sure reports whether it is known what of everything has to be there.
func (m *model) sure() bool {
	for _, p := range m.processes {
		if p.dead && m.kind != faithful {
			return false
		}
	}
	return true
}

// words adds up whole numbers of a series, word by word, and says how many processes have it.
func (m *model) words(name string) (words []uint64, of int) {
	for _, p := range m.processes {
		if v := p.values[name]; v != nil {
			of++
			words = slices.Grow(words, len(v))[:max(len(words), len(v))]
			for i, w := range v {
				words[i] += w
			}
		}
	}
	return words, of
}

// float is the exact sum of the float parts, rounded once: of counters with the whole
// numbers.
func (m *model) float(name string, whole uint64) float64 {
	exact := new(big.Float).SetPrec(2000).SetUint64(whole)
	for _, p := range m.processes {
		if words := p.values[name]; words != nil {
			exact.Add(exact, big.NewFloat(math.Float64frombits(words[1])))
		}
	}
	f, _ := exact.Float64()
	return f
}

// gauges checks those whose values are known while nobody is dead.
func (m *model) gauges(when string, shown map[string]*merge.Series) {
	newest, recent, live, total := uint64(0), 0.0, 0.0, 0.0
	for _, p := range m.processes {
		if v, set := layout.DecodeGauge(p.values["all"][0]); set && !p.dead {
			if s := shown["all"+p.name]; s == nil || s.Gauge() != v {
				m.Errorf("%s: all of %s: %v, want %v", when, p.name, s, v)
			}
		}
		if v, set := layout.DecodeGauge(p.values["livesum"][0]); set && !p.dead {
			live += v
		}
		if v, set := layout.DecodeGauge(p.values["sum"][0]); set {
			total += v
		}
		if words := p.values["recent"]; words[0] > 0 && words[2] > newest {
			newest, recent = words[2], math.Float64frombits(words[1])
		}
	}
	near := func(name string, want float64) {
		if s := shown[name]; s != nil && math.Abs(s.Gauge()-want) > 1e-9 || s == nil && want != 0 {
			m.Errorf("%s: %s: %v, want %v", when, name, s, want)
		}
	}
	near("livesum", live)
	if m.sure() {
		near("sum", total)
		near("recent", recent)
	}
}
