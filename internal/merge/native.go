package merge

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Native is a sum of native histograms. Histograms of the same schema and zero threshold are added
// up at once. Different schemas and thresholds are only brought together when a caller asks for
// the sum, because a histogram made coarser stays coarser. Therefore the sum depends neither on
// the order of the addends nor on their grouping.
type Native struct{ classes []nativeClass }

// nativeClass is the sum of all histograms of one schema and zero threshold.
type nativeClass struct {
	layout.Native
	used bool // something was added since the last reset
}

// Bounds of the native buckets of one series in an archive. A histogram has some hundred buckets:
// client_golang makes the histogram coarser, or its zero bucket wider, when the histogram has more
// buckets than configured.
const (
	maxNativeClasses = 16
	maxNativeBuckets = 2000
)

// newNative returns the native buckets of a new total, nil for a type without native buckets.
func newNative(t layout.Type) *Native {
	if t != layout.NativeHistogram {
		return nil
	}
	return &Native{}
}

// Add adds a histogram.
func (s *Native) Add(n *layout.Native) {
	at, known := slices.BinarySearchFunc(s.classes, n, func(c nativeClass, n *layout.Native) int {
		return cmp.Or(cmp.Compare(c.Schema, n.Schema), cmp.Compare(c.Threshold, n.Threshold))
	})
	if !known {
		s.classes = slices.Insert(s.classes, at, nativeClass{Native: layout.Native{Schema: n.Schema, Threshold: n.Threshold}})
	}
	c := &s.classes[at]
	c.used = true
	c.Zero += n.Zero
	c.Positive, c.Negative = addBuckets(c.Positive, n.Positive), addBuckets(c.Negative, n.Negative)
}

// addBuckets adds the buckets from to the buckets to. If to has all indexes, as usual from scrape
// to scrape, addBuckets changes to in place.
func addBuckets(to, from []layout.NativeBucket) []layout.NativeBucket {
	missing, i := 0, 0
	for _, b := range from {
		for i < len(to) && to[i].Index < b.Index {
			i++
		}
		if i == len(to) || to[i].Index != b.Index {
			missing++
		}
	}
	if missing == 0 {
		i = 0
		for _, b := range from {
			for to[i].Index < b.Index {
				i++
			}
			to[i].Count += b.Count
		}
		return to
	}
	out := make([]layout.NativeBucket, 0, len(to)+missing)
	for len(to) > 0 || len(from) > 0 {
		switch {
		case len(from) == 0 || len(to) > 0 && to[0].Index < from[0].Index:
			out, to = append(out, to[0]), to[1:]
		case len(to) == 0 || from[0].Index < to[0].Index:
			out, from = append(out, from[0]), from[1:]
		default:
			out = append(out, layout.NativeBucket{Index: to[0].Index, Count: to[0].Count + from[0].Count})
			to, from = to[1:], from[1:]
		}
	}
	return out
}

// addSum adds another sum.
func (s *Native) addSum(o *Native) {
	for i := range o.classes {
		if c := &o.classes[i]; c.used {
			s.Add(&c.Native)
		}
	}
}

// reset starts a new sum. Indexes stay, without counts: the next sum will need the same indexes.
func (s *Native) reset() {
	s.classes = slices.DeleteFunc(s.classes, func(c nativeClass) bool { return !c.used })
	for i := range s.classes {
		c := &s.classes[i]
		c.Zero, c.used = 0, false
		for _, buckets := range [][]layout.NativeBucket{c.Positive, c.Negative} {
			for i := range buckets {
				buckets[i].Count = 0
			}
		}
	}
}

// Parts returns the sum in the form of an archive. The slice belongs to the caller.
func (s *Native) Parts() []layout.Native {
	var parts []layout.Native
	for i := range s.classes {
		if c := &s.classes[i]; c.used {
			parts = append(parts, layout.Native{
				Schema: c.Schema, Threshold: c.Threshold, Zero: c.Zero, Positive: coarser(c.Positive, 0), Negative: coarser(c.Negative, 0),
			})
		}
	}
	return parts
}

// Sum returns the sum as one histogram, nil if nothing was added. The histogram belongs to the
// caller.
func (s *Native) Sum() *layout.Native {
	parts := s.Parts()
	if len(parts) == 0 {
		return nil
	}
	out := align(parts)
	for _, p := range parts {
		out.Zero += p.Zero
		out.Positive, out.Negative = addBuckets(out.Positive, p.Positive), addBuckets(out.Negative, p.Negative)
	}
	return out
}

// align gives all histograms the same schema and zero threshold, and returns an empty histogram
// with both. The schema is the lowest schema. The threshold is the highest threshold, raised until
// the threshold cuts no bucket of a histogram with a lower threshold.
func align(parts []layout.Native) *layout.Native {
	common := &layout.Native{Schema: layout.MaxSchema}
	for _, p := range parts {
		common.Schema, common.Threshold = min(common.Schema, p.Schema), max(common.Threshold, p.Threshold)
	}
	for i := range parts {
		p := &parts[i]
		p.Positive, p.Negative = coarser(p.Positive, p.Schema-common.Schema), coarser(p.Negative, p.Schema-common.Schema)
		p.Schema = common.Schema
	}
	for raised := true; raised; {
		raised = false
		for _, p := range parts {
			if p.Threshold < common.Threshold {
				t := max(uncut(p.Positive, common.Schema, common.Threshold), uncut(p.Negative, common.Schema, common.Threshold))
				raised = raised || t > common.Threshold
				common.Threshold = t
			}
		}
	}
	for i := range parts {
		p := &parts[i]
		if p.Threshold < common.Threshold {
			var positive, negative uint64
			p.Positive, positive = beyond(p.Positive, common.Schema, common.Threshold)
			p.Negative, negative = beyond(p.Negative, common.Schema, common.Threshold)
			p.Zero += positive + negative
			p.Threshold = common.Threshold
		}
	}
	return common
}

// NativeAnew reports whether a histogram was reset between was and is, by the rules of Prometheus:
// a bucket holds less, or buckets are finer than before.
func NativeAnew(was, is *layout.Native) bool {
	if is.Schema > was.Schema || is.Threshold < was.Threshold {
		return true
	}
	left, short := subtract(is, was)
	return short || left.Threshold > is.Threshold // a zero bucket does not grow by part of a bucket
}

// subtract returns from minus what, and whether a bucket of from had less than the same bucket of
// what.
func subtract(from, what *layout.Native) (left *layout.Native, short bool) {
	parts := []layout.Native{*from, *what}
	left = align(parts)
	left.Zero, short = less(parts[0].Zero, parts[1].Zero)
	for _, side := range []struct {
		to         *[]layout.NativeBucket
		from, what []layout.NativeBucket
	}{
		{&left.Positive, parts[0].Positive, parts[1].Positive},
		{&left.Negative, parts[0].Negative, parts[1].Negative},
	} {
		rest := side.what
		for _, b := range side.from {
			for len(rest) > 0 && rest[0].Index < b.Index {
				rest, short = rest[1:], true
			}
			if len(rest) > 0 && rest[0].Index == b.Index {
				var lacks bool
				b.Count, lacks = less(b.Count, rest[0].Count)
				rest, short = rest[1:], short || lacks
			}
			if b.Count > 0 {
				*side.to = append(*side.to, b)
			}
		}
		short = short || len(rest) > 0
	}
	return left, short
}

func less(a, b uint64) (uint64, bool) {
	if a < b {
		return 0, true
	}
	return a - b, false
}

// bound makes the sum small enough for an archive, at the cost of resolution.
func (s *Native) bound() {
	n := 0
	for _, c := range s.classes {
		n += len(c.Positive) + len(c.Negative)
	}
	if n <= maxNativeBuckets && len(s.classes) <= maxNativeClasses {
		return
	}
	sum := s.Sum()
	for sum.Schema > layout.MinSchema && len(sum.Positive)+len(sum.Negative) > maxNativeBuckets/2 {
		sum.Schema--
		sum.Positive, sum.Negative = coarser(sum.Positive, 1), coarser(sum.Negative, 1)
	}
	s.classes = nil
	s.Add(sum)
}

// coarser copies buckets to a lower schema, steps below, and drops empty buckets. Each step joins
// pairs of buckets; the upper bucket of a pair has an even index.
func coarser(buckets []layout.NativeBucket, steps int32) []layout.NativeBucket {
	var out []layout.NativeBucket
	for _, b := range buckets {
		if b.Count == 0 {
			continue
		}
		index := (b.Index-1)>>steps + 1
		if last := len(out) - 1; last >= 0 && out[last].Index == index {
			out[last].Count += b.Count
			continue
		}
		out = append(out, layout.NativeBucket{Index: index, Count: b.Count})
	}
	return out
}

// uncut returns threshold, or, if threshold cuts a bucket, the upper bound of the bucket.
func uncut(buckets []layout.NativeBucket, schema int32, threshold float64) float64 {
	for _, b := range buckets {
		if nativeBound(b.Index-1, schema) >= threshold {
			break
		}
		if upper := nativeBound(b.Index, schema); upper > threshold {
			return upper
		}
	}
	return threshold
}

// beyond returns the buckets that begin at the threshold or above, and the sum of all other
// buckets.
func beyond(buckets []layout.NativeBucket, schema int32, threshold float64) (above []layout.NativeBucket, below uint64) {
	for len(buckets) > 0 && nativeBound(buckets[0].Index-1, schema) < threshold {
		below += buckets[0].Count
		buckets = buckets[1:]
	}
	return buckets, below
}

// nativeBound is the upper bound of the bucket with an index. The upper bound of the last bucket
// before infinity is the largest number, as in Prometheus.
func nativeBound(index, schema int32) float64 {
	exponent, fraction := int(index), 1.0
	if schema < 0 {
		exponent <<= -schema
	} else {
		exponent >>= schema
		fraction = fractions()[(index&(1<<schema-1))<<(layout.MaxSchema-schema)]
	}
	if exponent == 1024 && fraction == 1 {
		return math.MaxFloat64
	}
	return math.Ldexp(fraction, exponent)
}

// steps are the factors between bounds in schemas 1 to 8. The factors are not the numbers nearest
// to 2^(2^-schema). Bounds have to equal the bounds of client_golang and Prometheus bit for bit,
// made of the same factors, because otherwise a threshold would cut the bucket of the same upper
// bound.
var steps = [...]float64{
	1.414213562373095, 1.189207115002721, 1.0905077326652577, 1.0442737824274138, 1.0218971486541166,
	1.0108892860517005, 1.0054299011128027, 1.0027112750502025,
}

// fractions are the bounds between 1 and 2 in the highest schema; the bounds of lower schemas are
// among them. From one schema to the next, each second bound is new, a step above the previous
// bound.
var fractions = sync.OnceValue(func() []float64 {
	all := make([]float64, 1<<layout.MaxSchema)
	all[0] = 1
	for schema, step := range steps {
		distance := len(all) >> (schema + 1)
		for i := distance; i < len(all); i += 2 * distance {
			all[i] = all[i-distance] * step
		}
	}
	return all
})
