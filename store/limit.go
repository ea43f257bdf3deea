package store

import (
	"encoding/binary"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// reserve counts a series against the limit. One beyond it stays in memory, and
// so does one whose record no reader would believe.
func (s *Store) reserve(b *series) bool {
	if b.family.unlimited {
		return true
	}
	if b.tooLong() {
		s.dropped.Add(1)
		return false
	}
	if s.series.Add(1) > int64(s.opts.MaxSeries) {
		s.series.Add(-1)
		s.dropped.Add(1)
		return false
	}
	b.counted = true
	return true
}

// tooLong reports whether readers would not believe the record of a series.
func (s *series) tooLong() bool {
	const head = 64 // more than the numbers in front of the label values take
	n := head
	for _, v := range s.values {
		n += binary.MaxVarintLen32 + len(v)
		if len(v) > layout.MaxLabelBytes {
			return true
		}
	}
	return n > layout.MaxRecordBytes
}

// countDropped shows the series beyond MaxSeries in a counter of this process.
// It is made with the first of them, and here, where no lock is held.
func (s *Store) countDropped() {
	n := s.dropped.Swap(0)
	if n == 0 {
		return
	}
	if s.droppedTotal == nil {
		f := makeFamily(layout.Family{
			Type: layout.Counter, Name: layout.ReservedPrefix + "dropped_series_total",
			Help: "Series beyond the limit of a process, which are counted in its memory only.",
		}, nil, nil)
		f.unlimited = true // it is made when there is no series left
		s.droppedTotal = define(s, f, f.newCounter())
	}
	s.droppedTotal.Add(float64(n))
}
