package merge

import "github.com/mpmetrics/mpmetrics/internal/layout"

// Series is a merged series and the total of what its members added.
type Series struct {
	Labels  []layout.Label // sorted by name
	Const   []layout.Label // those of Labels that are const labels where it is defined
	Created int64          // start timestamp: the oldest, Unix nanoseconds

	// Cache is the caller's: what it derived from Labels.
	Cache any

	family *Family
	used   bool // some member has it
	slot   int  // where the Merger has the sum of a counter, or another series
	total  Total

	exemplars       []*Exemplar      // since Begin
	nativeExemplars *nativeExemplars // likewise
}

// use notes a member's start timestamp.
func (s *Series) use(created int64) {
	if !s.used || created < s.Created {
		s.Created = created
	}
	s.used = true
}

// Gauge returns the value of a series whose family has a mode, by that.
func (s *Series) Gauge() float64 { return s.total.gauge(s.family.Mode) }

// Observations returns count and sum of a histogram or summary.
func (s *Series) Observations() (uint64, float64) { return s.total.whole.lo, s.total.sum.round() }

// Buckets returns the buckets of a histogram, that of +Inf last, not
// cumulative. They belong to the Series.
func (s *Series) Buckets() []uint64 { return s.total.buckets }

// Native returns the native buckets of a native histogram, nil if no process has
// any. They belong to the caller.
func (s *Series) Native() *layout.Native {
	if s.total.native == nil {
		return nil
	}
	return s.total.native.Sum()
}
