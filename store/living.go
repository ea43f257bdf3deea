package store

import (
	"hash/maphash"
	"math/bits"
	"slices"
)

// living are the series of a vec that were made and not found deleted yet. It
// finds by label values, since a vec does not say what it deletes. Guarded by the
// store's mu.
type living struct {
	byHash map[uint64]*series // the first of those with one hash
	all    []*series          // each at its index
}

var hashSeed = maphash.MakeSeed()

func hashOf(values []string) (h uint64) {
	for _, v := range values {
		h = bits.RotateLeft64(h, 7) ^ maphash.String(hashSeed, v)
	}
	return h
}

// add takes a series in.
func (l *living) add(s *series) {
	if l.byHash == nil {
		l.byHash = map[uint64]*series{}
	}
	s.sameHash = l.byHash[s.hash]
	l.byHash[s.hash] = s
	s.index = len(l.all)
	l.all = append(l.all, s)
}

// find returns the series with these label values, nil without one.
func (l *living) find(hash uint64, values []string) *series {
	for s := l.byHash[hash]; s != nil; s = s.sameHash {
		if slices.Equal(s.values, values) {
			return s
		}
	}
	return nil
}

// remove takes a series out. The last of all takes its index: who walks from the
// last to the first, and lets go of the lock in between, misses none.
func (l *living) remove(s *series) {
	if first := l.byHash[s.hash]; first != s {
		for first.sameHash != s {
			first = first.sameHash
		}
		first.sameHash = s.sameHash
	} else if s.sameHash != nil {
		l.byHash[s.hash] = s.sameHash
	} else {
		delete(l.byHash, s.hash)
	}
	s.sameHash = nil
	n := len(l.all) - 1
	last := l.all[n]
	last.index = s.index
	l.all[last.index] = last
	l.all[n] = nil
	l.all = l.all[:n]
}
