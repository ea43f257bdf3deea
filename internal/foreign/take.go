package foreign

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// take takes the collections of all looks that ended. Series that left go first, because another
// collector may have the series now, and needs their room.
func (m *Mirror) take(guards []*guard) {
	var whole []*guard
	for _, g := range guards {
		if g.claimWhole() {
			whole = append(whole, g)
		}
	}
	for _, g := range whole {
		m.takeGone(g)
	}
	var conflict error
	for _, g := range whole {
		err := m.takeRecords(g)
		if err != nil {
			conflict = err
		}
		for _, refusal := range g.collection.refusals {
			err = cmp.Or(err, refusal)
		}
		g.taken(err)
	}
	if conflict != nil {
		m.leftOut(reasonError, "", conflict, 1)
	}
}

// takeGone takes the series that a collector does not show any more.
func (m *Mirror) takeGone(g *guard) {
	c := g.collection
	for _, r := range c.gone {
		if s := r.series; s.owner == r {
			m.keep(s, deleted)
		}
	}
	c.gone = nil
	for _, f := range c.faults {
		m.leftOut(f.reason, f.family, f.err, f.n)
	}
	c.faults = nil
}

// takeRecords takes the series that a collector shows. The error is a conflict with another
// collector.
func (m *Mirror) takeRecords(g *guard) (conflict error) {
	c := g.collection
	for _, p := range c.parts {
		for _, r := range p.records {
			s := r.series
			switch {
			case s == nil && (r.changed || !r.refused):
				if err := m.admit(r, c.at); err != nil {
					conflict = err
				}
			case s == nil:
			case r.changed:
				m.update(s, r, c.at)
			default:
				s.again(c.at)
			}
			r.changed, r.remade = false, false
		}
	}
	return conflict
}

// admit takes a series that a collector did not show before. The error is a conflict with another
// collector.
func (m *Mirror) admit(r *record, at int64) (conflict error) {
	f, conflict := m.familyOf(r.part)
	if conflict != nil {
		return conflict
	}
	r.refused = f == nil
	if r.refused {
		return nil
	}
	s := m.find(f, r)
	switch {
	case s == nil:
		if s = m.make(f, r); s == nil {
			return nil
		}
	case s.owner != nil:
		return fmt.Errorf("family %s: series %s was collected before with the same name and label values", f.name, labelText(r.labels))
	default:
		m.revive(s)
	}
	r.series = s
	m.update(s, r, at)
	return nil
}

// update takes the content of a record into its series.
func (m *Mirror) update(s *series, r *record, at int64) {
	f := s.family
	if s.take(r, at) {
		m.Host.Reset(f.name, 1)
	}
	m.resize(s, r.size)
	s.encode()
	if all := r.part.collection.exemplars[r]; len(all) > 0 {
		if f.exemplars == nil {
			f.exemplars = map[*series][]mirror.Exemplar{}
		}
		f.exemplars[s] = all
	} else {
		delete(f.exemplars, s)
	}
	m.noteStale(f)
}

// leave takes the series of an unregistered collector, whose claim is free or never will be, and
// returns the series that stay.
func (m *Mirror) leave(g *guard) (stay []*series) {
	for _, f := range m.families {
		for i := len(f.series) - 1; i >= 0; i-- {
			s := f.series[i]
			if s.owner == nil || s.owner.part.collection != g.collection {
				continue
			}
			if m.keep(s, left) {
				stay = append(stay, s)
			}
		}
	}
	return stay
}

// familyOf returns the family of a part, nil for a family that is not mirrored. Collectors have to
// agree about the family, as in a registry.
func (m *Mirror) familyOf(p *part) (*family, error) {
	f := m.families[p.name]
	switch {
	case f != nil && f.kind == p.kind && f.descText == p.descText:
		return f.mirrored(), nil
	case f != nil && f.living > 0:
		return nil, fmt.Errorf("family %s: a %v with help %q and unit %q beside a %v with help %q and unit %q", p.name, p.kind, p.help, p.unit, f.kind, f.help, f.unit)
	case strings.HasPrefix(p.name, layout.ReservedPrefix):
		m.leftOut(reasonName, p.name, errors.New("names that begin so belong to mpmetrics itself"), 1)
		return nil, nil
	}
	next := &family{descText: p.descText, kind: p.kind}
	m.ask(next)
	if err := next.validate(); err != nil {
		m.leftOut(reasonInvalid, fmt.Sprintf("%.100s", p.name), err, 1)
		return nil, nil
	}
	if f == nil {
		f = &family{}
		m.families[p.name] = f
	} else if f.kind != p.kind {
		for len(f.series) > 0 {
			m.drop(f.series[0]) // a series has the type of its family
		}
	}
	f.descText, f.kind, f.mode, f.omit, f.summed, f.stamped = next.descText, next.kind, next.mode, next.omit, next.summed, false
	m.resizeHead(f)
	m.noteStale(f)
	return f.mirrored(), nil
}

// mirrored returns the family unless the user omits the family.
func (f *family) mirrored() *family {
	if f.omit {
		return nil
	}
	return f
}

// ask asks the host for the mode of a family.
func (m *Mirror) ask(f *family) {
	mode, configured, omit := m.Host.Mode(&dto.MetricFamily{Name: &f.name, Type: f.kind.Enum()})
	f.mode, f.omit, f.summed = mode, omit, false
	switch f.kind {
	case dto.MetricType_GAUGE, dto.MetricType_UNTYPED:
		f.summed = mode == layout.LiveSum && !configured
		return
	case dto.MetricType_COUNTER:
		return
	}
	f.mode = 0
	if configured && !omit {
		m.leftOut(reasonMode, f.name, fmt.Errorf("a %v cannot be merged by %v", f.kind, mode), 1)
	}
}
