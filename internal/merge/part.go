package merge

import (
	"math"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Part is the share of one contributor in a merged series: the contributor's value by the rules of
// the merged series, as if no other process had the series. Gauge, Observations and Buckets work
// as for a Series; use Counter for a counter without a mode.
type Part struct{ *Series }

// Counter returns the part of a counter without a mode.
func (p Part) Counter() float64 { return p.total.whole.plus(&p.total.sum) }

// partOf returns the part for a series. The first call makes the part.
func partOf(parts map[*Series]Part, s *Series) Part {
	p, ok := parts[s]
	if !ok {
		p = Part{&Series{Labels: s.Labels, Const: s.Const, family: s.family, total: newTotal(s.family.Type, len(s.family.Bounds))}}
		parts[s] = p
	}
	return p
}

// Parts returns the shares of a member in the series of the set of, from the values of the member
// and its native buckets by input. Call Parts after Begin.
func (m *Merger) Parts(mb *Member, values []uint64, natives map[int]*layout.Native, of map[*Series]bool) map[*Series]Part {
	parts := map[*Series]Part{}
	for i, s := range mb.placed {
		if s == nil || !of[s] {
			continue
		}
		p := partOf(parts, s)
		in := &mb.inputs[i]
		d := mb.defs[in.Family]
		p.use(in.Created, in.Stamped)
		if d.family.ByMode() {
			p.total.reset() // made again: the last input wins
		}
		p.total.add(d.family, values[in.At:], d.buckets)
		if n := natives[i]; n != nil && p.total.native != nil {
			p.total.native.Add(n)
		}
	}
	return parts
}

// Sum returns the sum of a member's shares in all series of a family: of the values, or of the
// counts of histograms and summaries. The family is cumulative. Sum makes no Part, so that a reader
// may ask each second. has is false if the member has no share. Call Sum after Begin.
func (m *Merger) Sum(mb *Member, values []uint64, f *Family) (sum float64, has bool) {
	if f.Mode.Valid() { // made again: the last input wins
		of := make(map[*Series]bool, len(f.Series))
		for _, s := range f.Series {
			of[s] = true
		}
		for _, p := range m.Parts(mb, values, nil, of) {
			sum, has = sum+p.Gauge(), true
		}
		return sum, has
	}
	for i, s := range mb.placed {
		if s == nil || s.family != f {
			continue
		}
		at := mb.inputs[i].At
		sum, has = sum+float64(values[at]), true
		if f.Type == layout.Counter {
			sum += math.Float64frombits(values[at+1])
		}
	}
	return sum, has
}

// CarriedParts returns the shares of the ledger in the series of the set of, without the ledger's
// All samples.
func (m *Merger) CarriedParts(of map[*Series]bool) map[*Series]Part {
	parts := map[*Series]Part{}
	for _, c := range m.carried {
		for _, e := range c.all {
			if e.series == nil || !of[e.series] {
				continue
			}
			p := partOf(parts, e.series)
			p.use(e.Created, false)
			p.total.addTotal(&e.Total, c.def.buckets)
		}
	}
	return parts
}

// DeadParts returns the shares of the ledger's processes with All samples, in the series of the
// set of.
func (m *Merger) DeadParts(of map[*Series]bool) map[*Series]map[*Member]Part {
	parts := map[*Series]map[*Member]Part{}
	for _, d := range m.dead {
		for s, p := range m.Parts(d.Member, d.values, nil, of) {
			if parts[s] == nil {
				parts[s] = map[*Member]Part{}
			}
			parts[s][d.Member] = p
		}
	}
	return parts
}

// Set reports whether the contributor ever set the gauge. If not, the contributor has no share.
func (p Part) Set() bool { return p.total.set+p.total.nans > 0 }
