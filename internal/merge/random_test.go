package merge

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// The model in model_test.go knows nothing of caches: it works everything out
// from the processes of the moment, in the plainest way. A Merger that has seen
// processes come, grow, die, leave and return has to show the same.

// actor is a process of the model, with the member it is in the Merger.
type actor struct {
	Process
	member   *Member
	families []*layout.Family
	inputs   []Input
	cells    []uint64
}

// wordings are the definitions that processes of the random test choose from:
// every kind of conflict is among them.
var wordings = func() []*layout.Family {
	zone := []layout.Label{{Name: "zone", Value: "z"}}
	return []*layout.Family{
		counterOf("a", "l"),
		with(*counterOf("a", "l"), func(f *layout.Family) { f.Help = "other" }),
		counterOf("a", "k"),
		counterOf("a", "l", "k"),
		with(*counterOf("a", "l"), func(f *layout.Family) { f.ConstLabels = zone }),
		gaugeFamily("a", layout.Sum, "l"),
		with(*counterOf("a", "l"), func(f *layout.Family) { f.Mode = layout.Max }),
		with(*counterOf("b", "l"), func(f *layout.Family) { f.Mode = layout.Max }),
		with(*counterOf("b", "l"), func(f *layout.Family) { f.Mode = layout.LiveMax }),
		with(*gaugeFamily("u", layout.LiveSum, "l"), func(f *layout.Family) { f.Type = layout.Untyped }),
		with(*gaugeFamily("u", layout.Max, "l"), func(f *layout.Family) { f.Type = layout.Untyped }),
		gaugeFamily("g", layout.Min, "l"), gaugeFamily("g", layout.LiveMax, "l"), gaugeFamily("g", layout.MostRecent, "l"),
		gaugeFamily("g", layout.All, "l"), gaugeFamily("g", layout.LiveAll, "l"), gaugeFamily("g", layout.LiveMostRecent, "l"),
		gaugeFamily("g", layout.LiveMean, "process"), gaugeFamily("g", layout.LiveSum, "process"),
		gaugeFamily("i", layout.LiveMean, "l"), gaugeFamily("i", layout.Max, "l"), gaugeFamily("i", layout.LiveMin, "l"),
		histogramOf("h", 1, 2, 4), histogramOf("h", 1, 3, 4), histogramOf("h", 5), histogramOf("h"),
		{Type: layout.Summary, Name: "h", Help: "h"},
		counterOf("h_count", "l"), gaugeFamily("h_sum", layout.LiveSum, "l"), counterOf("h_bucket", "l"),
		{Type: layout.Summary, Name: "s", Help: "h", LabelNames: []string{"l"}},
		counterOf("s_count", "l"),
	}
}()

func TestRandomOperations(t *testing.T) {
	runs := 400
	if testing.Short() {
		runs = 50
	}
	seed := rand.Uint64()
	for run := range runs {
		if !randomRun(t, rand.New(rand.NewPCG(seed, uint64(run)))) {
			t.Fatalf("seed %d, run %d", seed, run)
		}
	}
}

func randomRun(t *testing.T, r *rand.Rand) bool {
	m, ledger := New(), NewLedger()
	var actors, gone, absorbed []*actor
	clock := int64(0)
	for step := range 30 {
		what := ""
		pick := func() *actor { return actors[r.IntN(len(actors))] }
		switch op := r.IntN(12); {
		case op < 3 && len(gone) > 0 || len(actors) == 0 && len(gone) > 0: // a member returns, read anew from its beginning
			i := r.IntN(len(gone))
			a := gone[i]
			gone = slices.Delete(gone, i, i+1)
			a.member = m.Join(a.Process)
			cut := r.IntN(len(a.inputs) + 1)
			m.Extend(a.member, a.families, a.inputs[:cut])
			m.Extend(a.member, nil, a.inputs[cut:])
			actors = append(actors, a)
			what = "return"
		case op < 3 || len(actors) == 0:
			clock += int64(r.IntN(3)) // some start at the same time
			a := &actor{Process: Process{ID: layout.NewID(), Start: clock, Label: string("12"[r.IntN(2)]), Live: r.IntN(4) > 0}}
			if r.IntN(5) == 0 {
				a.Label += "-2"
			}
			a.member = m.Join(a.Process)
			actors = append(actors, a)
			extend(r, m, a)
			what = "join"
		case op < 6:
			extend(r, m, pick())
			what = "extend"
		case op < 7:
			a := pick()
			a.Live = !a.Live && r.IntN(3) == 0
			m.SetLive(a.member, a.Live)
			what = "die"
		case op < 8:
			i := r.IntN(len(actors))
			m.Leave(actors[i].member)
			gone = append(gone, actors[i])
			actors = slices.Delete(actors, i, i+1)
			what = "leave"
		case op < 9:
			if a := pick(); len(a.inputs) > 0 {
				i := r.IntN(len(a.inputs))
				if f := a.families[a.inputs[i].Family]; f.Type.Cumulative() && !f.ByMode() && r.IntN(2) == 0 {
					a.inputs[i].Share = !a.inputs[i].Share
					m.SetShare(a.member, i, a.inputs[i].Share)
					what = "share"
				} else {
					a.inputs[i].Gone = true
					m.Remove(a.member, i)
					what = "remove"
				}
			}
		case op < 11:
			// To the model nothing happens: absorption must not show.
			a := pick()
			if !a.Live {
				for i := range a.inputs {
					fill(r, a.families[a.inputs[i].Family], a.cells[a.inputs[i].At:], true)
				}
				if n := ledger.Absorb(a.Process, a.families, a.inputs, a.cells, nil, clock+1); n != 0 {
					t.Errorf("step %d: %d sums were not absorbed", step, n)
				}
				m.Leave(a.member)
				m.Carry(reread(t, ledger))
				actors = slices.DeleteFunc(actors, func(b *actor) bool { return a == b })
				absorbed = append(absorbed, a)
				what = "absorb"
			}
		default:
			what = "values"
		}
		if r.IntN(3) == 0 {
			continue // several operations between two scrapes
		}
		for _, a := range actors {
			for i := range a.inputs {
				fill(r, a.families[a.inputs[i].Family], a.cells[a.inputs[i].At:], false)
			}
		}
		m.Begin()
		for _, i := range r.Perm(len(actors)) {
			m.Add(actors[i].member, actors[i].cells)
		}
		got, gotCreated := shown(t, m), created(m)
		want, wantCreated := model(slices.Concat(actors, absorbed))
		if diff := gocmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("step %d, after %s: values (-want +got):\n%s", step, what, diff)
			return false
		}
		if diff := gocmp.Diff(wantCreated, gotCreated, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("step %d, after %s: start timestamps (-want +got):\n%s", step, what, diff)
			return false
		}
		if wrong := misjudged(m); wrong != "" {
			t.Errorf("step %d, after %s: %s", step, what, wrong)
			return false
		}
		for _, a := range actors {
			if diff := gocmp.Diff(sumsOfParts(m, a), sums(m, a), cmpopts.EquateNaNs(), cmpopts.EquateApprox(1e-9, 0)); diff != "" {
				t.Errorf("step %d, after %s: sums of families (-by parts +got):\n%s", step, what, diff)
				return false
			}
		}
	}
	return true
}

// sums are the shares of an actor in cumulative families.
func sums(m *Merger, a *actor) values {
	out := values{}
	for _, f := range m.Families() {
		if !f.Type.Cumulative() {
			continue
		}
		if sum, has := m.Sum(a.member, a.cells, f); has {
			out[f.Name] = sum
		}
	}
	return out
}

// sumsOfParts are sums, by the parts of each series.
func sumsOfParts(m *Merger, a *actor) values {
	out := values{}
	for _, f := range m.Families() {
		of := map[*Series]bool{}
		for _, s := range f.Series {
			of[s] = f.Type.Cumulative()
		}
		for _, p := range m.Parts(a.member, a.cells, nil, of) {
			v := 0.0
			switch {
			case f.Mode.Valid():
				v = p.Gauge()
			case f.Type == layout.Counter:
				v = p.Counter()
			default:
				n, _ := p.Observations()
				v = float64(n)
			}
			out[f.Name] += v
		}
	}
	return out
}

// misjudged names a definition whose Standing says anything else than what was merged.
func misjudged(m *Merger) string {
	for mb := range m.members {
		standings := map[string]Standing{}
		for _, s := range m.Standings(mb) {
			if len(s.Reasons) == 0 && s.LeftOut {
				return s.Family.Wording() + ": left out without a reason"
			}
			standings[s.Family.Wording()] = s
		}
		for i, in := range mb.inputs {
			if in.Gone || in.Share {
				continue
			}
			wording := mb.defs[in.Family].key
			s, hasSay := standings[wording]
			if merged := mb.placed[i] != nil; merged != (hasSay && !s.LeftOut) {
				return fmt.Sprintf("%s: merged %v, has a say %v, left out %v", wording, merged, hasSay, s.LeftOut)
			}
		}
	}
	for _, s := range m.CarriedStandings() {
		merged := slices.ContainsFunc(slices.Collect(maps.Values(m.carried)), func(c *carried) bool {
			return c.def.family == s.Family && slices.ContainsFunc(c.all, func(e *carriedEntry) bool { return !e.Share() && e.series != nil })
		})
		if account := m.carried[s.Family.Wording()]; account != nil && !s.Family.Mode.PerProcess() && merged == s.LeftOut {
			return fmt.Sprintf("%s of the ledger: merged %v, left out %v", s.Family.Wording(), merged, s.LeftOut)
		}
	}
	return ""
}

// extend gives a process more families and series.
func extend(r *rand.Rand, m *Merger, a *actor) {
	var families []*layout.Family
	for range r.IntN(4) {
		f := *wordings[r.IntN(len(wordings))]
		// No registry lets a process have one series by two wordings.
		if !slices.ContainsFunc(slices.Concat(a.families, families), func(g *layout.Family) bool {
			return f.Name == g.Name && labelNames(&f) == labelNames(g) && f.Wording() != g.Wording()
		}) {
			families = append(families, &f) // every process decodes its own
		}
	}
	a.families = append(a.families, families...)
	var inputs []Input
	if len(a.families) > 0 {
		for range r.IntN(5) {
			i := r.IntN(len(a.families))
			f := a.families[i]
			in := Input{Family: i, Created: 1 + int64(r.IntN(1000)), At: len(a.cells)}
			in.Share = f.Type.Cumulative() && !f.ByMode() && r.IntN(3) == 0
			for range f.LabelNames {
				in.Values = append(in.Values, []string{"x", "y", ""}[r.IntN(3)])
			}
			// No process has one series by two wordings, which differ in a label without a value.
			if slices.ContainsFunc(slices.Concat(a.inputs, inputs), func(o Input) bool {
				g := a.families[o.Family]
				return o.Family != i && seriesKey(f.Name, sortedLabels(f, in.Values, 0)) == seriesKey(g.Name, sortedLabels(g, o.Values, 0))
			}) {
				continue
			}
			a.cells = append(a.cells, make([]uint64, f.ValueWords())...)
			inputs = append(inputs, in)
		}
	}
	a.inputs = append(a.inputs, inputs...)
	m.Extend(a.member, families, inputs)
}

// reread returns a ledger as it comes out of an archive.
func reread(t *testing.T, l *Ledger) *Ledger {
	t.Helper()
	again := NewLedger()
	for _, a := range l.Accounts() {
		b := again.Account(a.Family)
		b.Met(a.Newest())
		for _, e := range a.Entries() {
			total := layout.Total{Created: e.Created, Touched: e.Touched, Values: e.Values, Sums: e.Sums()}
			r, err := layout.DecodeRecord(layout.AppendTotal(nil, &total))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Total.Validate(a.Family); err != nil {
				t.Fatal(err)
			}
			if again.Put(b, r.Total) == nil || again.Put(b, r.Total) != nil {
				t.Error("a total was not taken, or twice")
			}
		}
	}
	maps.Copy(again.Dead, l.Dead)
	if again.Series() != l.Series() {
		t.Errorf("%d series, want %d", again.Series(), l.Series())
	}
	return again
}

// fill writes random values of a family into cells.
func fill(r *rand.Rand, f *layout.Family, cells []uint64, finite bool) {
	number := func() float64 {
		if finite {
			return math.Ldexp(r.Float64()-0.5, r.IntN(120)-60)
		}
		switch r.IntN(12) {
		case 0:
			return math.NaN()
		case 1:
			return math.Inf(1 - 2*r.IntN(2))
		}
		return math.Ldexp(r.Float64()-0.5, r.IntN(120)-60)
	}
	switch {
	case f.ByMode():
		c := gaugeCells(f.Mode, number(), int64(r.IntN(4)))
		if r.IntN(4) == 0 {
			c = neverSet(f.Mode)
		}
		copy(cells, c)
	case f.Type == layout.Counter:
		cells[0], cells[1] = r.Uint64()>>r.IntN(64), 0
		if r.IntN(2) == 0 {
			cells[1] = math.Float64bits(math.Abs(number()))
		}
	default:
		cells[0], cells[1] = 0, math.Float64bits(number())
		for i := range len(f.Bounds) + 1 {
			n := r.Uint64N(1000)
			cells[0] += n
			if f.Type == layout.Histogram {
				cells[2+i] = n
			}
		}
	}
}

// created are the start timestamps that a Merger shows.
func created(m *Merger) map[string]int64 {
	out := map[string]int64{}
	for _, f := range m.Families() {
		for _, s := range f.Series {
			out[f.Name+text(s.Labels)] = s.Created
		}
	}
	return out
}
