package instrument

import (
	"container/list"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// A program may delete a series of a vec, or unregister a family, and make the series again later.
// Gauges leave. The count of a cumulative series stays, because the total of all processes would
// dip without the count:
//
//  1. The catalog makes a rest of the series: an instrument that takes over the cells. The
//     instrument of the program counts on the heap from then on, to no effect.
//  2. Readers show the rest of an unregistered series as before. The rest of a deleted series is a
//     share: readers add a share to the series of other processes, and do not show a share alone.
//  3. If the program makes the series again, by the same definition, the new instrument takes over
//     the cells of the rest: other processes see the series go on. In its own process the
//     instrument starts at zero, as in client_golang.

// DefaultShares bounds the shares of a process. Beyond the bound the oldest share leaves for good.
const DefaultShares = 1000

// Heir is an instrument that can take over the cells of another instrument.
type Heir interface {
	Instrument
	// TakeOver takes over the cells and the start timestamp of an instrument of the same type,
	// which goes on with a copy on the heap.
	TakeOver(from Instrument)
	// Rebase makes the present value the zero of Write.
	Rebase()
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

// kept are all rests of a catalog. Guarded by the lock of the Catalog.
type kept struct {
	byWording map[string]*rests
	shares    list.List // of Heir, the oldest first
	all       map[Heir]*list.Element
}

// TakeOver implements Heir.
func (c *Counter) TakeOver(from Instrument) {
	f := from.(*Counter)
	f.Settle()
	c.Created.Store(f.Created.Load())
	c.onHeap.Store(f.onHeap.Load())
	c.cells.Store(f.cells.Load())
	f.Leave()
}

// Rebase implements Heir.
func (c *Counter) Rebase() {
	c.base = new([layout.CounterWords]uint64)
	c.Load(c.base[:])
}

// TakeOver implements Heir.
func (h *Histogram) TakeOver(from Instrument) {
	f := from.(*Histogram)
	h.Created.Store(f.Created.Load())
	h.group.takeOver(&f.group)
}

// Rebase implements Heir.
func (h *Histogram) Rebase() {
	h.base = make([]uint64, h.Family.Def.ValueWords())
	h.Load(h.base)
}

// TakeOver implements Heir.
func (s *Summary) TakeOver(from Instrument) {
	f := from.(*Summary)
	s.Created.Store(f.Created.Load())
	s.group.takeOver(&f.group)
}

// Rebase implements Heir.
func (s *Summary) Rebase() {
	s.base = make([]uint64, s.Family.Def.ValueWords())
	s.Load(s.base)
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
	closed := c.closed
	c.mu.Unlock()
	if closed || !c.host.Shared() || f.Mirrored {
		return
	}
	var all []Instrument
	f.Instruments(func(i Instrument) { all = append(all, i) })
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, i := range all {
		if !i.Base().gone.Load() {
			c.leave(i, false)
		}
	}
	for len(f.children.all) > 0 { // series that the vec has deleted
		c.leave(f.children.all[0].self, true)
	}
}

// restsOf returns the rests of the definition of a family. mu is held.
func (c *Catalog) restsOf(f *Family) *rests {
	if f.rests != nil {
		return f.rests
	}
	key := f.Def.Wording()
	r := c.kept.byWording[key]
	if r == nil {
		r = &rests{family: &Family{Def: f.Def, Desc: f.Desc, Record: f.Record}, byValues: map[string]Heir{}}
		r.family.rests = r
		if c.kept.byWording == nil {
			c.kept.byWording, c.kept.all = map[string]*rests{}, map[Heir]*list.Element{}
		}
		c.kept.byWording[key] = r
	}
	f.rests = r
	return r
}

// leave lets a series of the program leave, after the series was deleted, or after its family was
// unregistered. mu is held.
func (c *Catalog) leave(i Instrument, deleted bool) {
	s := i.Base()
	r := c.restsOf(s.Family)
	heir := r.heirOf(i)
	hand := c.host.Hand
	if deleted {
		hand = c.host.Share
	}
	if heir == nil || !s.counted || deleted && c.MostShares == 0 || !hand(i, heir) {
		c.markGone(s)
		c.host.Depart(s)
		return
	}
	s.counted, heir.Base().counted = false, !deleted // a share does not count against the limit
	if deleted {
		c.published.Add(-1)
	}
	c.markGone(s)
	r.byValues[layout.ValuesKey(s.Values)] = heir
	if !deleted {
		c.kept.all[heir] = nil
		return
	}
	c.kept.all[heir] = c.kept.shares.PushBack(heir)
	for c.kept.shares.Len() > c.MostShares {
		oldest := c.kept.shares.Front().Value.(Heir)
		c.forget(oldest)
		c.host.Depart(oldest.Base())
	}
}

// forget takes a rest out of the rests. mu is held.
func (c *Catalog) forget(rest Heir) {
	s := rest.Base()
	s.gone.Store(true)
	if share := c.kept.all[rest]; share != nil {
		c.kept.shares.Remove(share)
	}
	delete(c.kept.all, rest)
	key := layout.ValuesKey(s.Values)
	if r := s.Family.rests; r.byValues[key] == rest {
		delete(r.byValues, key)
	}
}

// inherit gives a new series the cells of an earlier series with the same label values, which the
// program has deleted, or of a rest. inherit reports false if there is none. mu is held.
func (c *Catalog) inherit(i Instrument, earlier *Series) bool {
	s := i.Base()
	heir, isHeir := i.(Heir)
	if !isHeir || s.Family.Unlimited {
		return false
	}
	if earlier != nil {
		if !earlier.counted || !c.host.Hand(earlier.self, heir) {
			return false
		}
		s.counted, earlier.counted = true, false
		c.markGone(earlier)
		heir.Rebase()
		return true
	}
	if s.Family.rests == nil {
		return false
	}
	rest := s.Family.rests.byValues[layout.ValuesKey(s.Values)]
	if rest == nil || !rest.Base().counted && c.published.Load() >= c.most || !c.host.Hand(rest, heir) {
		return false
	}
	if !rest.Base().counted {
		c.published.Add(1)
	}
	s.counted = true
	c.forget(rest)
	heir.Rebase()
	return true
}

// rests returns all rests.
func (c *Catalog) rests() (all []Instrument) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for rest := range c.kept.all {
		all = append(all, rest)
	}
	return all
}

// Recorded returns all families that may have a record in the place, removed families included.
func (c *Catalog) Recorded() []*Family {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.families)
	for _, r := range c.kept.byWording {
		all = append(all, r.family)
	}
	return all
}
