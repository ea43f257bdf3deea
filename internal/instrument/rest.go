package instrument

import (
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// A program may unregister a family, and make a family of the same name later. The gauges of an
// unregistered family leave. Cumulative series stay as shown, because their totals would dip:
//
//  1. The catalog makes a rest of each such series: an instrument that takes over the cells. The
//     instrument of the program counts on the heap from then on, to no effect.
//  2. If the program makes the series again, by the same definition, the new instrument takes over
//     the cells of the rest, and goes on.
//
// Readers notice neither step.

// Heir is an instrument that can take over the cells of another instrument.
type Heir interface {
	Instrument
	// TakeOver takes over the cells and the start timestamp of an instrument of the same type,
	// which goes on with a copy on the heap.
	TakeOver(from Instrument)
}

var (
	_ Heir = (*Counter)(nil)
	_ Heir = (*Histogram)(nil)
	_ Heir = (*Summary)(nil)
)

// rests are the rests of the series of one definition. The family is another one than that of the
// program, which leads to all instruments of a vec.
type rests struct {
	family   *Family
	byValues map[string]Heir
}

// heirOf makes an instrument of the same series, nil for a gauge.
func (r *rests) heirOf(i Instrument) Heir {
	values := i.Base().Values
	switch i.(type) {
	case *Counter:
		return r.family.NewCounter(values...)
	case *Histogram:
		return r.family.NewHistogram(values...)
	case *Summary:
		return r.family.NewSummary(values...)
	}
	return nil
}

// TakeOver implements Heir.
func (c *Counter) TakeOver(from Instrument) {
	f := from.(*Counter)
	f.Settle()
	c.Created.Store(f.Created.Load())
	c.cells.Store(f.cells.Load())
	f.Leave()
}

// TakeOver implements Heir.
func (h *Histogram) TakeOver(from Instrument) {
	f := from.(*Histogram)
	h.Created.Store(f.Created.Load())
	h.group.takeOver(&f.group)
}

// TakeOver implements Heir.
func (s *Summary) TakeOver(from Instrument) {
	f := from.(*Summary)
	s.Created.Store(f.Created.Load())
	s.group.takeOver(&f.group)
}

// takeOver takes over the words of another group, which goes on with a copy on the heap.
func (g *group) takeOver(from *group) {
	from.mu.Lock()
	words, pid := from.words, from.pid
	from.words = slices.Clone(words)
	from.mu.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.words, g.pid = words, pid
}

// Remove takes a family out, after its collector was unregistered.
func (c *Catalog) Remove(f *Family) {
	c.mu.Lock()
	at := slices.Index(c.families, f)
	if at < 0 {
		c.mu.Unlock()
		return
	}
	c.families = slices.Delete(slices.Clone(c.families), at, at+1)
	f.removed = true
	c.mu.Unlock()
	if !c.host.Shared() || f.Mirrored {
		return
	}
	var all []Instrument
	f.Instruments(func(i Instrument) { all = append(all, i) })
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.restsOf(f)
	for _, i := range all {
		c.rest(r, i)
	}
	for len(f.children.all) > 0 { // series that the vec has deleted
		s := f.children.all[0]
		c.markGone(s)
		c.host.Depart(s)
	}
}

// restsOf returns the rests of a definition. mu is held.
func (c *Catalog) restsOf(f *Family) *rests {
	key := f.Def.Wording()
	r := c.rests[key]
	if r == nil {
		r = &rests{family: &Family{Def: f.Def, Desc: f.Desc, Record: f.Record}, byValues: map[string]Heir{}}
		if c.rests == nil {
			c.rests = map[string]*rests{}
		}
		c.rests[key] = r
	}
	return r
}

// rest lets a series of a removed family leave, or makes its rest. mu is held.
func (c *Catalog) rest(r *rests, i Instrument) {
	s := i.Base()
	if s.gone.Load() {
		return
	}
	heir := r.heirOf(i)
	if heir == nil || !s.counted {
		c.forget(s)
		c.host.Depart(s)
		return
	}
	heir.Base().counted, s.counted = true, false
	c.host.Hand(i, heir)
	c.forget(s)
	r.byValues[layout.ValuesKey(s.Values)] = heir
}

// forget is markGone for a series with or without labels. mu is held.
func (c *Catalog) forget(s *Series) {
	if s.Family.Single == nil {
		c.markGone(s)
		return
	}
	s.gone.Store(true)
	if s.counted {
		c.published.Add(-1)
		s.counted = false
	}
}

// inherit gives a new series the cells of its rest, if there is a rest. mu is held.
func (c *Catalog) inherit(i Instrument) bool {
	s := i.Base()
	r := s.Family.rests
	if r == nil {
		return false
	}
	key := layout.ValuesKey(s.Values)
	rest := r.byValues[key]
	to, isHeir := i.(Heir)
	if rest == nil || !isHeir {
		return false
	}
	delete(r.byValues, key)
	s.counted, rest.Base().counted = true, false
	c.host.Hand(rest, to)
	rest.Base().gone.Store(true)
	return true
}

// restingInstruments returns all rests.
func (c *Catalog) restingInstruments() (all []Instrument) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.rests {
		for _, i := range r.byValues {
			all = append(all, i)
		}
	}
	return all
}

// Recorded returns all families that may have a record in the place, removed families included.
func (c *Catalog) Recorded() []*Family {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.families)
	for _, r := range c.rests {
		all = append(all, r.family)
	}
	return all
}
