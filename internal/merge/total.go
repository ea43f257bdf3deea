package merge

import (
	"math"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Total is the count of any number of processes for one series. A total depends neither on the
// order of the addends nor on their grouping: the total of totals is the same, bit for bit.
type Total struct {
	whole   count    // integer part of a counter; observations of a histogram or summary
	sum     exact    // float part of a counter; sum of the observations; of the values of a gauge
	buckets []uint64 // of a histogram, not cumulative

	// Of a gauge: how often processes set the gauge to a number (set) and to NaN (nans), and then
	// the smallest, the largest, and the most recent number with its time.
	set, nans uint64
	min, max  float64
	recent    float64
	time      int64

	native *Native // of a native histogram; nil for every other type
}

func newTotal(t layout.Type, bounds int) Total {
	total := Total{native: newNative(t)}
	if t.Bucketed() {
		total.buckets = make([]uint64, bounds+1)
	}
	return total
}

func (t *Total) reset() {
	t.whole = count{}
	t.sum.reset()
	clear(t.buckets)
	t.set, t.nans = 0, 0
	if t.native != nil {
		t.native.reset()
	}
}

// add adds the values of one process for a series of a family. to maps the buckets of f to the
// buckets of t; nil: both are the same.
func (t *Total) add(f *layout.Family, values []uint64, to []int) {
	switch {
	case f.Mode.Timed():
		if values[0] > 0 {
			t.addGauge(math.Float64frombits(values[1]), int64(values[2]))
		}
	case f.ByMode():
		if v, set := layout.DecodeGauge(values[0]); set {
			t.addGauge(v, 0)
		}
	default:
		t.whole.add(values[0])
		t.sum.add(math.Float64frombits(values[1]))
		if f.Type.Bucketed() {
			t.addBuckets(values[2:], to)
		}
	}
}

func (t *Total) addBuckets(values []uint64, to []int) {
	if to == nil {
		buckets := t.buckets
		for i, n := range values[:len(buckets)] {
			buckets[i] += n
		}
		return
	}
	for i, merged := range to {
		t.buckets[merged] += values[i]
	}
}

func (t *Total) addGauge(v float64, time int64) {
	if math.IsNaN(v) {
		t.nans++
		return
	}
	t.sum.add(v)
	t.extremes(1, v, v, v, time)
}

// extremes takes smallest, largest and most recent of so many numbers.
func (t *Total) extremes(set uint64, smallest, largest, recent float64, time int64) {
	if t.set == 0 {
		t.min, t.max, t.recent, t.time = smallest, largest, recent, time
	} else {
		t.min, t.max = min(t.min, smallest), max(t.max, largest)
		switch {
		case time > t.time:
			t.recent, t.time = recent, time
		case time == t.time:
			t.recent = max(t.recent, recent)
		}
	}
	t.set += set
}

// addTotal adds a total of the same type, or of a native histogram to a histogram. In the second
// case the native buckets are not added.
func (t *Total) addTotal(o *Total, to []int) {
	t.whole.addCount(o.whole)
	t.sum.addExact(&o.sum)
	if t.buckets != nil {
		t.addBuckets(o.buckets, to)
	}
	if t.native != nil && o.native != nil {
		t.native.addSum(o.native)
	}
	t.nans += o.nans
	if o.set > 0 {
		t.extremes(o.set, o.min, o.max, o.recent, o.time)
	}
}

// absorb is add for an absorption. If the float sum would not be finite, absorb leaves the sum
// unchanged and returns false. An infinite sum ends with its process, because nothing could ever
// be added to such a sum in an archive.
func (t *Total) absorb(f *layout.Family, values []uint64) bool {
	before := t.sum.clone()
	t.add(f, values, nil)
	if t.sum.special != 0 {
		t.sum = before
		return false
	}
	return true
}

// gauge returns the value of a gauge by a mode.
func (t *Total) gauge(mode layout.Mode) float64 {
	if t.set == 0 {
		if t.nans > 0 {
			return math.NaN()
		}
		return 0
	}
	switch mode {
	case layout.Sum, layout.LiveSum:
		return t.sum.round()
	case layout.LiveMean:
		return t.sum.mean(float64(t.set))
	case layout.Max, layout.LiveMax:
		return t.max
	case layout.MostRecent, layout.LiveMostRecent:
		return t.recent
	}
	return t.min // also for a single process: all values are the same
}

// Sums returns the total in the form of an archive. The slices belong to t.
func (t *Total) Sums() layout.Sums {
	return layout.Sums{
		Hi: t.whole.hi, Lo: t.whole.lo, Parts: t.sum.expansion(), Buckets: t.buckets,
		Set: t.set, NaNs: t.nans, Min: t.min, Max: t.max, Recent: t.recent, Time: t.time,
	}
}

// totalOf is the total in an archive, without its native buckets, which follow in separate
// records. The total takes over the slices.
func totalOf(of layout.Type, s layout.Sums) Total {
	t := Total{
		native: newNative(of),
		whole:  count{hi: s.Hi, lo: s.Lo}, buckets: s.Buckets,
		set: s.Set, nans: s.NaNs, min: s.Min, max: s.Max, recent: s.Recent, time: s.Time,
	}
	// Parts are added one by one, because parts in a damaged archive may overlap.
	for _, p := range s.Parts {
		t.sum.add(p)
	}
	return t
}
