package merge

import (
	"maps"
	"math"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Base is the part of the counts of a process that is in no total: totals restarted while the file
// of the process was there, and earlier totals have the part. Gauges have no base.
type Base struct {
	// Whole means that no count of the process is in a total: nobody could read the counts at the
	// restart, or the process was dead. The other fields are empty then.
	Whole bool

	Families []*layout.Family
	Inputs   []Input
	Values   []uint64
	Natives  map[int]*layout.Native // by input
}

// NewBase returns the base of a process from the values of the process at the restart. Families,
// inputs, values and natives are as for a Merger.
func NewBase(families []*layout.Family, inputs []Input, values []uint64, natives map[int]*layout.Native) *Base {
	b := &Base{}
	familyOf := map[int]int{} // index in families to index in b.Families
	for i, in := range inputs {
		f := families[in.Family]
		own := values[in.At : in.At+f.ValueWords()]
		if in.Gone || f.ByMode() || own[0] == 0 && own[1] == 0 {
			continue
		}
		at, known := familyOf[in.Family]
		if !known {
			at = len(b.Families)
			familyOf[in.Family] = at
			b.Families = append(b.Families, f)
		}
		b.Put(Input{Family: at, Values: in.Values, Created: in.Created}, own, natives[i])
	}
	return b
}

// Same reports whether two bases of one process are the same.
func (b *Base) Same(o *Base) bool {
	return b.Whole == o.Whole && slices.Equal(b.Values, o.Values) && slices.EqualFunc(b.Inputs, o.Inputs, func(x, y Input) bool {
		return x.Created == y.Created && x.At == y.At && slices.Equal(x.Values, y.Values)
	})
}

// Put adds the value of a series. native is nil unless the series has native buckets.
func (b *Base) Put(in Input, value []uint64, native *layout.Native) {
	if native != nil {
		b.SetNative(len(b.Inputs), native)
	}
	in.At = len(b.Values)
	b.Inputs = append(b.Inputs, in)
	b.Values = append(b.Values, value...)
}

// SetNative sets the native buckets of an input.
func (b *Base) SetNative(input int, n *layout.Native) {
	if b.Natives == nil {
		b.Natives = map[int]*layout.Native{}
	}
	b.Natives[input] = n
}

// Subtraction subtracts a base from the values of a process, again and again.
type Subtraction struct {
	// Inputs are the inputs of the process, and then the inputs of the values that Apply appends.
	Inputs []Input

	parts []subtracted
	rests []uint64
	out   []uint64
}

// subtracted is an input of a process with a base.
type subtracted struct {
	input  int
	family *layout.Family
	base   []uint64 // nil: all that the input has
	native *layout.Native
}

// Subtract prepares the subtraction for a process with so many values. A series that was deleted
// and made again from zero has another start timestamp, and so no base.
func (b *Base) Subtract(families []*layout.Family, inputs []Input, words int) *Subtraction {
	s := &Subtraction{Inputs: inputs[:len(inputs):len(inputs)]}
	if b.Whole {
		for i, in := range inputs {
			if f := families[in.Family]; !in.Gone && !f.ByMode() {
				s.parts = append(s.parts, subtracted{input: i, family: f})
			}
		}
		return s
	}
	type run struct {
		key     string
		created int64
	}
	bases := make(map[run]int, len(b.Inputs))
	wordings := make([]string, len(b.Families))
	for i, f := range b.Families {
		wordings[i] = f.Wording()
	}
	for i, in := range b.Inputs {
		bases[run{layout.SeriesKey(wordings[in.Family], in.Values), in.Created}] = i
	}
	wordings = make([]string, len(families))
	for i, f := range families {
		wordings[i] = f.Wording()
	}
	for i, in := range inputs {
		key := run{layout.SeriesKey(wordings[in.Family], in.Values), in.Created}
		at, based := bases[key]
		if !based || in.Gone {
			continue
		}
		delete(bases, key) // a base is subtracted once
		f := families[in.Family]
		base := b.Values[b.Inputs[at].At:][:f.ValueWords()]
		s.parts = append(s.parts, subtracted{input: i, family: f, base: base, native: b.Natives[at]})
		if x := math.Float64frombits(base[1]); x != 0 && finite(x) { // a total has only finite sums
			in.At = words + len(s.rests)
			s.Inputs = append(s.Inputs, in)
			rest := make([]uint64, f.ValueWords())
			rest[1] = math.Float64bits(-x)
			s.rests = append(s.rests, rest...)
		}
	}
	return s
}

// counterSince subtracts the integer part of a base from a counter. The integer part of a mirrored
// counter may have moved to the float part since.
func counterSince(counter []uint64, base uint64) {
	if counter[0] >= base {
		counter[0] -= base
		return
	}
	float := math.Float64frombits(counter[1]) - float64(base-counter[0])
	counter[0], counter[1] = 0, math.Float64bits(float)
}

// Apply returns values and native buckets without the base. The values are valid until the next
// Apply.
func (s *Subtraction) Apply(values []uint64, natives map[int]*layout.Native) ([]uint64, map[int]*layout.Native) {
	s.out = append(append(s.out[:0], values...), s.rests...)
	cloned := false
	for _, p := range s.parts {
		at := s.Inputs[p.input].At
		n := p.family.ValueWords()
		switch {
		case p.base == nil:
			clear(s.out[at : at+n])
		case p.family.Type == layout.Counter:
			counterSince(s.out[at:at+n], p.base[0])
		default:
			Since(p.family, values[at:at+n], p.base, s.out[at:at+n])
		}
		if natives[p.input] == nil || p.base != nil && p.native == nil {
			continue
		}
		if !cloned {
			natives, cloned = maps.Clone(natives), true
		}
		if p.base == nil {
			delete(natives, p.input)
		} else {
			natives[p.input] = NativeSince(natives[p.input], p.native)
		}
	}
	return s.out, natives
}
