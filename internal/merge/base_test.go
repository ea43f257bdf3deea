package merge

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

var baseFamilies = []*layout.Family{
	{Type: layout.Counter, Name: "c_total", LabelNames: []string{"l"}},
	{Type: layout.Histogram, Name: "h", Bounds: []float64{1, 2}},
	{Type: layout.Summary, Name: "s"},
	{Type: layout.NativeHistogram, Name: "n"},
	{Type: layout.Gauge, Mode: layout.Sum, Name: "g"},
}

var baseInputs = []Input{
	{Family: 0, Values: []string{"a"}, Created: 1, At: 0},
	{Family: 0, Values: []string{"b"}, Created: 1, At: 2},
	{Family: 1, Created: 1, At: 4},
	{Family: 2, Created: 1, At: 9},
	{Family: 3, Created: 1, At: 11},
	{Family: 4, Created: 1, At: 14},
}

// baseProcess is a process that counts.
type baseProcess struct {
	values  []uint64
	natives map[int]*layout.Native
}

func newBaseProcess() *baseProcess {
	return &baseProcess{make([]uint64, 15), map[int]*layout.Native{4: {Schema: 2}}}
}

// count counts n observations and x as a float, in all series.
func (p *baseProcess) count(n uint64, x float64) {
	float := func(at int) { p.values[at] = math.Float64bits(math.Float64frombits(p.values[at]) + x) }
	for _, at := range []int{0, 2, 4, 9, 11} {
		p.values[at] += n
		float(at + 1)
	}
	p.values[6] += n
	p.values[13] += n
	native := *p.natives[4]
	native.Zero += n
	p.natives[4] = &native
	p.values[14] = layout.EncodeGauge(x)
}

// absorbed are the totals of a process without its base, in one order.
func absorbed(b *Base, p *baseProcess) []*Entry {
	s := b.Subtract(baseFamilies, baseInputs, len(p.values))
	values, natives := s.Apply(p.values, p.natives)
	l := NewLedger()
	l.Absorb(start(1, ""), baseFamilies, s.Inputs, values, natives, 1)
	var all []*Entry
	for _, a := range l.Accounts() {
		all = append(all, a.Entries()...)
	}
	return all
}

// What a process counts after its base is the total, to the bit, whatever the process had counted
// before. A gauge has no base.
func TestBaseOfAProcess(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		p := newBaseProcess()
		p.count(uint64(r.IntN(100)), r.Float64())
		b := NewBase(baseFamilies, baseInputs, slices.Clone(p.values), p.natives)
		n := uint64(1 + r.IntN(100))
		was := math.Float64frombits(p.values[1])
		x := math.Ldexp(r.Float64(), r.IntN(60))
		p.count(n, x)
		float := math.Float64frombits(p.values[1])
		for _, e := range absorbed(b, p) {
			if e.set > 0 {
				if got := e.gauge(layout.Sum); got != x {
					t.Fatalf("gauge %v, want %v", got, x)
				}
				continue
			}
			var want exact
			want.add(float)
			want.add(-was)
			got := e.sum.clone()
			if e.buckets != nil || e.whole.lo == n {
				if e.whole.lo != n {
					t.Fatalf("%d observations, want %d", e.whole.lo, n)
				}
			} else {
				got.addUint128(e.whole.hi, e.whole.lo)
				want.addUint128(0, n)
			}
			if got.round() != want.round() {
				t.Fatalf("sum %v, want %v", got.round(), want.round())
			}
			if len(e.buckets) == 3 && e.buckets[0] != n {
				t.Fatalf("buckets %v, want %d", e.buckets, n)
			}
			if e.native != nil && e.native.Sum().Zero != n {
				t.Fatalf("native buckets %v, want %d", e.native.Sum(), n)
			}
		}
	}
}

// The count of a mirrored counter is an integer at first, and has a fraction later.
func TestBaseOfACounterThatBecomesFractional(t *testing.T) {
	families, inputs := baseFamilies[:1], []Input{{Values: []string{"a"}, Created: 1}}
	b := NewBase(families, inputs, []uint64{40, 0}, nil)
	values, _ := b.Subtract(families, inputs, 2).Apply([]uint64{0, math.Float64bits(41.5)}, nil)
	if got := math.Float64frombits(values[1]); values[0] != 0 || got != 1.5 {
		t.Errorf("%d and %v, want 0 and 1.5", values[0], got)
	}
}

func TestSameBase(t *testing.T) {
	p := newBaseProcess()
	base := func() *Base { return NewBase(baseFamilies, baseInputs, slices.Clone(p.values), p.natives) }
	p.count(3, 0.5)
	b := base()
	if !b.Same(base()) {
		t.Error("two bases of the same counts differ")
	}
	p.count(1, 0)
	if b.Same(base()) || b.Same(&Base{Whole: true}) || b.Same(&Base{}) {
		t.Error("a base is the same as a base of other counts")
	}
}

// A whole base leaves nothing of the counts, and the gauges.
func TestWholeBase(t *testing.T) {
	p := newBaseProcess()
	p.count(3, 0.5)
	for _, e := range absorbed(&Base{Whole: true}, p) {
		if e.set == 0 && (e.whole != count{} || e.sum.round() != 0) {
			t.Errorf("%q has %v and %v, want nothing", e.Values, e.whole, e.sum.round())
		}
		if e.set > 0 && e.gauge(layout.Sum) != 0.5 {
			t.Errorf("gauge %v, want 0.5", e.gauge(layout.Sum))
		}
		if e.native != nil && e.native.Sum() != nil {
			t.Errorf("native buckets %v, want none", e.native.Sum())
		}
	}
}

// A series that was deleted and made again counts from zero, and has no base. A deleted series
// takes its base along.
func TestBaseOfADeletedSeries(t *testing.T) {
	families := baseFamilies[:1]
	inputs := []Input{{Values: []string{"a"}, Created: 1}}
	b := NewBase(families, inputs, []uint64{40, 0}, nil)
	for _, c := range []struct {
		name   string
		inputs []Input
		want   float64
	}{
		{name: "same series", inputs: inputs, want: 2},
		{name: "deleted", inputs: []Input{{Values: []string{"a"}, Created: 1, Gone: true}, {Values: []string{"b"}, Created: 1, At: 2}}, want: 3},
		{name: "made again", inputs: []Input{{Values: []string{"a"}, Created: 1, Gone: true}, {Values: []string{"a"}, Created: 2, At: 2}}, want: 3},
	} {
		m := New()
		s := b.Subtract(families, c.inputs, 4)
		values, _ := s.Apply([]uint64{42, 0, 3, 0}, nil)
		mb := m.Join(start(1, ""))
		m.Extend(mb, families, s.Inputs)
		m.Begin()
		m.Add(mb, values)
		if got := m.Counter(m.Families()[0].Series[0]); got != c.want {
			t.Errorf("%s: total %v, want %v", c.name, got, c.want)
		}
	}
}
