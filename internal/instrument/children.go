package instrument

import (
	"hash/maphash"
	"math/bits"
	"slices"
)

// children are the series of a vec that were made and not found deleted yet. children
// finds a series by its label values, because a vec does not say which series is deleted.
// Guarded by the lock of the Catalog.
type children struct {
	byHash map[uint64]*Series // the first series of each hash
	all    []*Series          // each at its index
}

var hashSeed = maphash.MakeSeed()

func hashOf(values []string) (h uint64) {
	for _, v := range values {
		h = bits.RotateLeft64(h, 7) ^ maphash.String(hashSeed, v)
	}
	return h
}

// add takes a series in.
func (c *children) add(s *Series) {
	if c.byHash == nil {
		c.byHash = map[uint64]*Series{}
	}
	s.sameHash = c.byHash[s.hash]
	c.byHash[s.hash] = s
	s.index = len(c.all)
	c.all = append(c.all, s)
}

// find returns the series with these label values, nil if there is none.
func (c *children) find(hash uint64, values []string) *Series {
	for s := c.byHash[hash]; s != nil; s = s.sameHash {
		if slices.Equal(s.Values, values) {
			return s
		}
	}
	return nil
}

// remove takes a series out, and the last of all series takes its index. A series only
// moves to a lower index, so sweepFamily, which walks downward and drops the lock between
// chunks, may see a series twice but misses none.
func (c *children) remove(s *Series) {
	if first := c.byHash[s.hash]; first != s {
		for first.sameHash != s {
			first = first.sameHash
		}
		first.sameHash = s.sameHash
	} else if s.sameHash != nil {
		c.byHash[s.hash] = s.sameHash
	} else {
		delete(c.byHash, s.hash)
	}
	s.sameHash = nil
	n := len(c.all) - 1
	last := c.all[n]
	last.index = s.index
	c.all[last.index] = last
	c.all[n] = nil
	c.all = c.all[:n]
}
