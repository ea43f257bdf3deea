package merge

import "github.com/mpmetrics/mpmetrics/internal/layout"

// Series is a merged series and the total of its members.
type Series struct {
	Labels  []layout.Label // sorted by name
	Const   []layout.Label // the const labels among Labels, by the first definition
	Created int64          // start timestamp: the oldest, Unix nanoseconds

	// Cache is for the caller: any data derived from Labels.
	Cache any

	family  *Family
	used    bool // some member has the series
	stamped bool // all members want the time of the value to be shown
	slot    int  // where the Merger has the sum of a counter, or another series
	total   Total

	exemplars       []*Exemplar      // since Begin
	nativeExemplars *nativeExemplars // since Begin
}

// use notes a member's start timestamp, and whether the member wants the time of the value to be
// shown.
func (s *Series) use(created int64, stamped bool) {
	if !s.used || created < s.Created {
		s.Created = created
	}
	s.stamped = stamped && (s.stamped || !s.used)
	s.used = true
}

// Stamp returns the time of the value of a gauge in Unix nanoseconds, if the time is to be shown.
func (s *Series) Stamp() (unixNano int64, shown bool) {
	return s.total.time, s.stamped && s.family.Mode.Timed() && s.total.set > 0
}

// Gauge returns the value of a series of a family with a mode, by the mode.
func (s *Series) Gauge() float64 { return s.total.gauge(s.family.Mode) }

// Observations returns count and sum of a histogram or summary.
func (s *Series) Observations() (uint64, float64) { return s.total.whole.lo, s.total.sum.round() }

// Buckets returns the buckets of a histogram, +Inf last, not cumulative. The slice belongs to the
// Series.
func (s *Series) Buckets() []uint64 { return s.total.buckets }

// Native returns the native buckets of a native histogram, nil if no process has native buckets.
// The result belongs to the caller.
func (s *Series) Native() *layout.Native {
	if s.total.native == nil {
		return nil
	}
	return s.total.native.Sum()
}
