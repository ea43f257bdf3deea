package merge

import (
	"math"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Series is a merged series and the sum of what its members added.
type Series struct {
	Labels  []layout.Label // sorted by name
	Const   []layout.Label // those of Labels that are const labels where it is defined
	Created int64          // start timestamp: the oldest, Unix nanoseconds

	// Cache is the caller's: what it derived from Labels.
	Cache any

	family *Family
	used   bool // some member has it
	slot   int  // of a counter, whose sum is in the Merger

	whole   count    // observations of a histogram or summary
	sum     exact    // of theirs, or of a gauge's values
	buckets []uint64 // of a histogram, not cumulative

	set  int     // of a gauge: members that set it to a number
	nans int     // members that set it to NaN
	best float64 // smallest, largest, most recent
	time int64   // of the most recent
}

// use notes a member's start timestamp.
func (s *Series) use(created int64) {
	if !s.used || created < s.Created {
		s.Created = created
	}
	s.used = true
}

func (s *Series) reset() {
	s.whole = count{}
	s.sum.reset()
	clear(s.buckets)
	s.set, s.nans, s.best, s.time = 0, 0, 0, 0
}

// add adds one run of cells.
func (s *Series) add(values []uint64, buckets []int) {
	switch s.family.Type {
	case layout.Gauge:
		s.addGauge(values)
	default:
		s.whole.add(values[0])
		s.sum.add(math.Float64frombits(values[1]))
		s.addBuckets(values[2:], buckets)
	}
}

func (s *Series) addBuckets(values []uint64, to []int) {
	if to == nil {
		for i := range s.buckets {
			s.buckets[i] += values[i]
		}
		return
	}
	for i, merged := range to {
		s.buckets[merged] += values[i]
	}
}

func (s *Series) addGauge(values []uint64) {
	mode := s.family.Mode
	var v float64
	var set bool
	var time int64
	if mode.Timed() {
		set, v, time = values[0] > 0, math.Float64frombits(values[1]), int64(values[2])
	} else {
		v, set = layout.DecodeGauge(values[0])
	}
	switch {
	case !set:
		return // what nobody set takes no part
	case math.IsNaN(v):
		s.nans++
		return
	}
	first := s.set == 0
	s.set++
	switch mode {
	case layout.Sum, layout.LiveSum, layout.LiveMean:
		s.sum.add(v)
	case layout.Min, layout.LiveMin:
		if first || v < s.best {
			s.best = v
		}
	case layout.Max, layout.LiveMax:
		if first || v > s.best {
			s.best = v
		}
	case layout.MostRecent, layout.LiveMostRecent:
		if first || time > s.time || time == s.time && v > s.best {
			s.best, s.time = v, time
		}
	default: // one process, one series
		s.best = v
	}
}

// Gauge returns the value of a gauge by the mode of its family.
func (s *Series) Gauge() float64 {
	if s.set == 0 {
		if s.nans > 0 {
			return math.NaN()
		}
		return 0
	}
	switch s.family.Mode {
	case layout.Sum, layout.LiveSum:
		return s.sum.round()
	case layout.LiveMean:
		return s.sum.round() / float64(s.set)
	}
	return s.best
}

// Observations returns count and sum of a histogram or summary.
func (s *Series) Observations() (uint64, float64) { return s.whole.lo, s.sum.round() }

// Buckets returns the buckets of a histogram, that of +Inf last, not
// cumulative. They belong to the Series.
func (s *Series) Buckets() []uint64 { return s.buckets }
