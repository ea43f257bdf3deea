package merge

import "slices"

// A program deletes a series of a vec, and other processes still have the series. Without the part
// of the program the total would dip, and Prometheus would take the dip for a reset. So a process
// keeps its part of some deleted series: a share. A share is merged while a living process, or an
// account of the dead, has the series otherwise; no process shows a series of shares alone.
//
// A share has no say in the choice of the definition in force.

// shares are the shares of a member, and where their values go.
type shares struct {
	inputs   []int // indexes into Member.inputs
	counters []counterRun
	terms    []term
}

// SetShare notes whether an input is a share.
func (m *Merger) SetShare(mb *Member, input int, share bool) {
	in := &mb.inputs[input]
	if in.Share == share {
		return
	}
	in.Share, mb.fresh, m.stale = share, false, true
	if share {
		mb.shares.inputs = append(mb.shares.inputs, input)
	} else {
		mb.shares.inputs = slices.DeleteFunc(mb.shares.inputs, func(i int) bool { return i == input })
	}
}

// placeShares finds the merged series of all shares. All other inputs are placed.
func (m *Merger) placeShares() {
	for mb := range m.members {
		s := &mb.shares
		s.counters, s.terms = nil, nil
		for _, i := range s.inputs {
			in := &mb.inputs[i]
			mb.placed[i] = nil
			d := mb.defs[in.Family]
			if in.Gone || !d.takes(mb.Live) {
				continue
			}
			series := m.shareOf(d, in.Values, in.Created)
			if series == nil {
				continue
			}
			mb.placed[i] = series
			if d.merged.counter() {
				s.counters = appendRun(s.counters, series.slot, in.At)
			} else {
				s.terms = appendTerm(s.terms, d, series.slot, in.At)
			}
		}
	}
	for _, c := range m.carried {
		for _, e := range c.all {
			if !e.Share() {
				continue
			}
			e.series = nil
			if c.def.takes(false) {
				e.series = m.shareOf(c.def, e.Values, e.Created)
			}
		}
	}
}

// shareOf returns the merged series of a share, nil if nobody has the series otherwise.
func (m *Merger) shareOf(d *definition, values []string, created int64) *Series {
	s := m.series[seriesKey(d.merged.Name, sortedLabels(d.family, values, 0))]
	if s != nil {
		s.Created = min(s.Created, created)
	}
	return s
}
