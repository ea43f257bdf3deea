package foreign

import (
	"errors"
	"fmt"
	"math"
	"slices"

	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// value is the value of one metric. The zero value has counted nothing.
type value struct {
	number   float64   // of a counter, a gauge, or an untyped metric
	observed *observed // of a histogram or a summary; otherwise nil
}

// observed is the value of a histogram or a summary.
type observed struct {
	count   uint64
	sum     float64
	bounds  []float64 // of the classic buckets, without +Inf
	buckets []uint64  // cumulative, one for each bound
	native  *layout.Native
}

// kindOf returns the type of a metric. The second result is false for a metric without a value.
func kindOf(m *dto.Metric) (dto.MetricType, bool) {
	switch {
	case m.Gauge != nil:
		return dto.MetricType_GAUGE, true
	case m.Counter != nil:
		return dto.MetricType_COUNTER, true
	case m.Summary != nil:
		return dto.MetricType_SUMMARY, true
	case m.Untyped != nil:
		return dto.MetricType_UNTYPED, true
	case m.Histogram != nil:
		return dto.MetricType_HISTOGRAM, true
	}
	return 0, false
}

// cumulative reports whether the values of a type only grow.
func cumulative(kind dto.MetricType) bool { return mirror.TypeOf(kind).Cumulative() }

// errImpossible is the error of a value that no counting can have: the total of all processes would
// go down by a negative value.
var errImpossible = errors.New("no counting has this value")

// errFloat is the error of a histogram that nobody can add up exactly.
var errFloat = errors.New("a histogram whose counts are not whole comes from computing, not from observing")

// read reads the value of a metric into v, whose memory is used again. changed reports whether the
// value differs from the former content of v. NaN and infinite values pass, as client_golang passes
// them. After an error v has its former content.
func (v *value) read(m *dto.Metric) (changed bool, err error) {
	switch {
	case m.Gauge != nil:
		return v.setNumber(m.Gauge.GetValue()), nil
	case m.Untyped != nil:
		return v.setNumber(m.Untyped.GetValue()), nil
	case m.Counter != nil:
		n := m.Counter.GetValue()
		if n < 0 {
			return false, fmt.Errorf("a counter has the value %v: %w", n, errImpossible)
		}
		return v.setNumber(n), nil
	}
	o := v.observed
	if o == nil {
		o = &observed{}
	}
	if m.Summary != nil {
		changed = o.set(m.Summary.GetSampleCount(), m.Summary.GetSampleSum())
	} else if changed, err = o.read(m.Histogram); err != nil {
		return false, err
	}
	changed = changed || v.observed == nil
	v.observed = o
	return changed, nil
}

func (v *value) setNumber(n float64) (changed bool) {
	changed = math.Float64bits(n) != math.Float64bits(v.number)
	v.number = n
	return changed
}

func (o *observed) set(count uint64, sum float64) (changed bool) {
	changed = count != o.count || math.Float64bits(sum) != math.Float64bits(o.sum)
	o.count, o.sum = count, sum
	return changed
}

// read is value.read for a histogram.
func (o *observed) read(h *dto.Histogram) (changed bool, err error) {
	if err := checkBuckets(h); err != nil {
		return false, err
	}
	var native *layout.Native
	if mirror.IsNative(h) {
		if native, err = mirror.DecodeNative(h); err != nil {
			return false, err
		}
	}
	changed = o.set(h.GetSampleCount(), h.GetSampleSum())
	n := 0
	for _, b := range h.Bucket {
		bound, count := b.GetUpperBound(), b.GetCumulativeCount()
		switch {
		case math.IsInf(bound, +1): // the bucket exists only with an exemplar
			continue
		case n == len(o.bounds):
			o.bounds, o.buckets, changed = append(o.bounds, bound), append(o.buckets, count), true
		case o.bounds[n] != bound || o.buckets[n] != count:
			o.bounds[n], o.buckets[n], changed = bound, count, true
		}
		n++
	}
	if n < len(o.bounds) {
		o.bounds, o.buckets, changed = o.bounds[:n], o.buckets[:n], true
	}
	if !sameNative(native, o.native) {
		o.native, changed = native, true
	}
	return changed, nil
}

// checkBuckets returns why a histogram is not mirrored, nil for a histogram that is.
func checkBuckets(h *dto.Histogram) error {
	if mirror.IsFloat(h) {
		return errFloat
	}
	if len(h.Bucket) > layout.MaxBuckets {
		return fmt.Errorf("%d buckets, at most %d", len(h.Bucket), layout.MaxBuckets)
	}
	below, before := math.Inf(-1), uint64(0)
	for i, b := range h.Bucket {
		bound, n := b.GetUpperBound(), b.GetCumulativeCount()
		if math.IsNaN(bound) || i > 0 && bound <= below {
			return fmt.Errorf("bucket bound %v after %v", bound, below)
		}
		if n < before || n > h.GetSampleCount() {
			return fmt.Errorf("a histogram of %d observations has %d up to %v and %d up to %v: %w", h.GetSampleCount(), before, below, n, bound, errImpossible)
		}
		below, before = bound, n
	}
	return nil
}

func sameNative(a, b *layout.Native) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Schema == b.Schema && a.Threshold == b.Threshold && a.Zero == b.Zero &&
		slices.Equal(a.Positive, b.Positive) && slices.Equal(a.Negative, b.Negative)
}

// set copies another value into v, whose memory is used again.
func (v *value) set(from *value) {
	v.number = from.number
	if from.observed == nil {
		v.observed = nil
		return
	}
	if v.observed == nil {
		v.observed = &observed{}
	}
	o, f := v.observed, from.observed
	*o = observed{
		count: f.count, sum: f.sum, native: f.native,
		bounds: append(o.bounds[:0], f.bounds...), buckets: append(o.buckets[:0], f.buckets...),
	}
}

// below reports whether a series of a cumulative type that has the value v now was reset since it
// had another value. A sum goes down without a reset, with negative observations. The classic
// buckets tell only if their bounds are the same.
func (v *value) below(former *value) bool {
	if v.number < former.number {
		return true
	}
	o, f := v.observed, former.observed
	if o == nil || f == nil {
		return false
	}
	if o.count < f.count {
		return true
	}
	if slices.Equal(o.bounds, f.bounds) {
		for i, n := range o.buckets {
			if n < f.buckets[i] {
				return true
			}
		}
	}
	return o.native != nil && f.native != nil && merge.NativeAnew(f.native, o.native)
}

// empty reports whether v has counted nothing.
func (v *value) empty() bool {
	o := v.observed
	return v.number == 0 && (o == nil || o.count == 0 && o.sum == 0)
}

// plus returns the sum of two values of one series. Of a histogram the bounds that both have are
// kept, because their counts are exact. Native buckets are kept if both values have native
// buckets: otherwise the native buckets would lack observations.
func (v value) plus(w value) (sum value) {
	switch {
	case v.empty():
		sum.set(&w)
		return sum
	case w.empty():
		sum.set(&v)
		return sum
	case v.observed == nil || w.observed == nil:
		return value{number: v.number + w.number}
	}
	a, b := v.observed, w.observed
	s := &observed{count: a.count + b.count, sum: a.sum + b.sum}
	for i, j := 0, 0; i < len(a.bounds) && j < len(b.bounds); {
		switch x, y := a.bounds[i], b.bounds[j]; {
		case x < y:
			i++
		case x > y:
			j++
		default:
			s.bounds, s.buckets = append(s.bounds, x), append(s.buckets, a.buckets[i]+b.buckets[j])
			i, j = i+1, j+1
		}
	}
	if a.native != nil && b.native != nil {
		var native merge.Native
		native.Add(a.native)
		native.Add(b.native)
		s.native = native.Sum()
	}
	return value{observed: s}
}
