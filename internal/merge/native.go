package merge

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Native is a sum of native histograms. Those of one schema and zero threshold
// are added up; what they have in common with others is worked out when the sum is
// asked for. So it does not depend on the order in which they were added, nor on
// how they were grouped: to make one coarser because of another is for good.
type Native struct{ classes []nativeClass }

// nativeClass is what has one schema and zero threshold.
type nativeClass struct {
	layout.Native
	used bool // something was added since the last reset
}

// Bounds of what an archive keeps of one series. A histogram has some hundred
// buckets, and client_golang makes it coarser, or its zero bucket wider, when it
// has more than configured.
const (
	maxNativeClasses = 16
	maxNativeBuckets = 2000
)

// newNative returns the native buckets of a new total, nil of a type that has none.
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

// addBuckets adds buckets to others, in their place if they have all of the
// indexes, as is the case from scrape to scrape.
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

// reset begins a new sum. Indexes stay, without counts: the next sum will have
// them again.
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

// Parts returns the sum as an archive holds it. It belongs to the caller.
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

// Sum returns the sum as one histogram, nil if nothing was added. It belongs to the
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

// align brings histograms to what they have in common, and returns an empty one of
// that: the lowest schema, first of all, and then the highest zero threshold, raised
// so that it cuts no bucket of one that had a lower one.
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

// NativeAnew reports whether a histogram that was one thing and is another has begun
// anew in between, as Prometheus sees it: a bucket holds less, or buckets are finer
// than they were.
func NativeAnew(was, is *layout.Native) bool {
	if is.Schema > was.Schema || is.Threshold < was.Threshold {
		return true
	}
	left, short := subtract(is, was)
	return short || left.Threshold > is.Threshold // a zero bucket does not grow by part of a bucket
}

// NativeSince returns what a histogram counted since it was another.
func NativeSince(is, was *layout.Native) *layout.Native {
	left, _ := subtract(is, was)
	return left
}

// subtract returns what is left of a histogram, and whether it had less than was to
// be taken from a bucket.
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

// bound makes sure that an archive can hold the sum. What it gives up is
// resolution.
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

// coarser copies buckets to a schema that is lower by so many, without those that
// are empty. One step joins each two of which the upper one has an even index.
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

// uncut returns the threshold, or the upper bound of the bucket that it cuts.
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

// beyond returns the buckets that begin at the threshold or above it, and what is
// in the others.
func beyond(buckets []layout.NativeBucket, schema int32, threshold float64) (above []layout.NativeBucket, below uint64) {
	for len(buckets) > 0 && nativeBound(buckets[0].Index-1, schema) < threshold {
		below += buckets[0].Count
		buckets = buckets[1:]
	}
	return buckets, below
}

// nativeBound is the upper bound of the bucket with an index. That of the last one
// in front of infinity is the largest number, as in Prometheus.
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

// steps are the factors between bounds in schemas 1 to 8. They are not the nearest
// numbers to 2^(2^-schema): bounds have to be those of client_golang and Prometheus
// bit for bit, or a threshold would cut the bucket that it ends, and theirs were made
// of these.
var steps = [...]float64{
	1.414213562373095, 1.189207115002721, 1.0905077326652577, 1.0442737824274138, 1.0218971486541166,
	1.0108892860517005, 1.0054299011128027, 1.0027112750502025,
}

// fractions are the bounds between 1 and 2 in the highest schema, in which those of all
// others are. From one schema to the next each second bound is a new one, a step above
// the one before.
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
