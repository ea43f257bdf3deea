package instrument

import "github.com/mpmetrics/mpmetrics/internal/layout"

// A series beyond the limit counts on the heap, and is published as soon as another series has left:
// with all that it has counted, like a series that waits for room in a file.

// wait notes a series beyond the limit. mu is held.
func (c *Catalog) wait(s *Series) {
	if !s.unreadable() {
		s.beyond = true
		s.Family.beyond++
	}
}

// waitNoMore forgets that a series was beyond the limit. mu is held.
func (c *Catalog) waitNoMore(s *Series) {
	if s.beyond {
		s.beyond = false
		s.Family.beyond--
	}
}

// admit gives the series beyond the limit the places that are free.
func (c *Catalog) admit() {
	if c.published.Load() >= c.most {
		return
	}
	for _, f := range c.Families() {
		for at := 0; ; at += sweepChunk {
			if !c.admitSome(f, at) {
				break
			}
		}
	}
}

// admitSome is admit for some series of a family, and reports whether there may be more.
func (c *Catalog) admitSome(f *Family, at int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.beyond == 0 || f.removed {
		return false
	}
	if f.Single != nil {
		c.enterLate(f.Single)
		return false
	}
	all := f.children.all
	for _, s := range all[min(at, len(all)):min(at+sweepChunk, len(all))] {
		if s.beyond && !c.enterLate(s.self) {
			return false
		}
	}
	return at+sweepChunk < len(all)
}

// enterLate publishes a series beyond the limit, unless there is no place. What was kept of a deleted
// series with the same label values leaves for the series. mu is held.
func (c *Catalog) enterLate(i Instrument) bool {
	s := i.Base()
	if !c.takePlace(s) {
		return false
	}
	var earlier *Series
	if r := s.Family.rests; r != nil {
		if rest := r.byValues[layout.ValuesKey(s.Values)]; rest != nil {
			earlier = rest.Base()
			if earlier.counted {
				c.published.Add(-1)
				earlier.counted = false
			}
			c.forget(rest)
		}
	}
	c.host.Enter(i, earlier)
	c.waitNoMore(s)
	return true
}
