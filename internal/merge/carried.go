package merge

import (
	"maps"
	"slices"
)

// carried is an account of the ledger, placed among the series of the Merger.
type carried struct {
	def     *definition
	newest  rank
	entries map[string]*carriedEntry // by label values
	all     []*carriedEntry          // the same: a slice is faster to walk
	fresh   []*carriedEntry          // entries of all without a place yet
	version int
}

type carriedEntry struct {
	*Entry
	series  *Series // nil: not merged, or not placed yet
	version int
}

// deadMember is a process of the ledger.
type deadMember struct {
	*Member
	values []uint64
}

// Carry replaces the ledger of the Merger; nil removes the ledger. The Merger keeps the entries of
// l, so the caller must not change the entries afterwards. Entries of both ledgers keep their
// place: archives are rewritten often, and differ little.
func (m *Merger) Carry(l *Ledger) {
	if l == nil {
		l = NewLedger()
	}
	m.ledgers++
	for key, a := range l.accounts {
		c := m.carried[key]
		if c == nil {
			c = &carried{def: m.intern(a.Family), entries: map[string]*carriedEntry{}}
			m.carried[key] = c
			m.stale = true
		}
		m.stale = m.stale || c.newest != a.newest
		c.newest, c.version = a.newest, m.ledgers
		if c.update(a, m.ledgers) {
			m.stale = true
		}
		if len(c.entries) > len(a.entries) {
			c.forget()
			m.stale = true
		}
	}
	for key, c := range m.carried {
		if c.version != m.ledgers {
			delete(m.carried, key)
			m.stale = true
		}
	}
	m.carryDead(l)
}

// holds reports whether the account has totals of series, and of shares of deleted series.
func (c *carried) holds() (counts, shares bool) {
	for _, e := range c.all {
		if counts = counts || !e.Share(); counts && shares {
			break
		}
		shares = shares || e.Share()
	}
	return counts, shares
}

// update takes over the entries of an account. update reports whether a series was forgotten and
// started again, or is no share any more.
func (c *carried) update(a *Account, version int) (later bool) {
	for key, e := range a.entries {
		ce := c.entries[key]
		if ce == nil {
			ce = &carriedEntry{}
			c.entries[key] = ce
			c.all = append(c.all, ce)
			c.fresh = append(c.fresh, ce)
		}
		later = later || ce.Entry != nil && ce.Created < e.Created
		if ce.Entry != nil && ce.Share() != e.Share() {
			later, ce.series = true, nil
			c.fresh = append(c.fresh, ce)
		}
		ce.Entry = e
		if ce.series != nil && !e.Share() {
			ce.series.use(e.Created, false)
		}
		ce.version = version
	}
	return later
}

// forget drops the entries of an earlier ledger.
func (c *carried) forget() {
	gone := func(e *carriedEntry) bool { return e.version != c.version }
	maps.DeleteFunc(c.entries, func(_ string, e *carriedEntry) bool { return gone(e) })
	c.all = slices.DeleteFunc(c.all, gone)
	c.fresh = slices.DeleteFunc(c.fresh, gone)
}

func (c *carried) unplace() {
	for _, e := range c.all {
		e.series = nil
	}
	c.fresh = slices.Clone(c.all)
}

func (m *Merger) carryDead(l *Ledger) {
	for id, mb := range m.dead {
		if l.Dead[id] == nil {
			m.Leave(mb.Member)
			delete(m.dead, id)
		}
	}
	for id, d := range l.Dead {
		if m.dead[id] == nil {
			mb := m.Join(d.Process)
			m.Extend(mb, d.Families, d.Inputs)
			m.dead[id] = &deadMember{mb, d.Values}
		}
	}
}

// prepareCarried places the fresh entries.
func (m *Merger) prepareCarried(c *carried) {
	for _, e := range c.fresh {
		m.reshare = true
		if c.def.takes(false) && !e.Share() {
			e.series = m.place(c.def, e.Values, "")
			e.series.use(e.Created, false)
		}
	}
	c.fresh = nil
}

// addCarried adds the values of the ledger.
func (m *Merger) addCarried() {
	for _, c := range m.carried {
		for _, e := range c.all {
			switch {
			case e.series == nil:
			case e.series.family.counter():
				m.slots.whole[e.series.slot].addCount(e.whole)
				m.slots.float[e.series.slot].addExact(&e.sum)
			default:
				e.series.total.addTotal(&e.Total, c.def.buckets)
			}
		}
	}
	for _, mb := range m.dead {
		m.Add(mb.Member, mb.values)
	}
}
