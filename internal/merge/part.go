package merge

import "github.com/mpmetrics/mpmetrics/internal/layout"

// Part is what one contributor has in a merged series: its value by the rules that
// made the merged one, as if nobody else had that series. Gauge, Observations and
// Buckets are those of a Series; a counter without a mode has Counter.
type Part struct{ *Series }

// Counter returns the part of a counter without a mode.
func (p Part) Counter() float64 { return p.total.whole.plus(&p.total.sum) }

// partOf returns the part that stands for a series, and makes it at first.
func partOf(parts map[*Series]Part, s *Series) Part {
	p, ok := parts[s]
	if !ok {
		p = Part{&Series{Labels: s.Labels, Const: s.Const, family: s.family, total: newTotal(s.family.Type, len(s.family.Bounds))}}
		parts[s] = p
	}
	return p
}

// Parts returns what a member has in those of the series that it has, from its
// values and its native buckets by input. It comes after Begin.
func (m *Merger) Parts(mb *Member, values []uint64, natives map[int]*layout.Native, of map[*Series]bool) map[*Series]Part {
	parts := map[*Series]Part{}
	for i, s := range mb.placed {
		if s == nil || !of[s] {
			continue
		}
		p := partOf(parts, s)
		in := &mb.inputs[i]
		d := mb.defs[in.Family]
		p.use(in.Created)
		if d.family.ByMode() {
			p.total.reset() // made again: it is what it is now
		}
		p.total.add(d.family, values[in.At:], d.buckets)
		if n := natives[i]; n != nil && p.total.native != nil {
			p.total.native.Add(n)
		}
	}
	return parts
}

// CarriedParts returns what the ledger has in those of the series that it has, its
// processes with All samples aside.
func (m *Merger) CarriedParts(of map[*Series]bool) map[*Series]Part {
	parts := map[*Series]Part{}
	for _, c := range m.carried {
		for _, e := range c.all {
			if e.series == nil || !of[e.series] {
				continue
			}
			p := partOf(parts, e.series)
			p.use(e.Created)
			p.total.addTotal(&e.Total, c.def.buckets)
		}
	}
	return parts
}

// DeadParts returns what the processes of the ledger, which left All samples, have
// in those of the series that they have.
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

// Set reports whether the contributor ever set the gauge. One that did not takes no
// part.
func (p Part) Set() bool { return p.total.set+p.total.nans > 0 }
