package prometheus_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/prometheus/model/histogram"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
)

// randomHistogram makes a native histogram. Two of them often have the same buckets,
// and often a zero bucket that ends within those of the other.
func randomHistogram(r *rand.Rand, schema int32) *layout.Native {
	n := &layout.Native{Schema: schema, Zero: uint64(r.IntN(3))}
	switch r.IntN(4) {
	case 0:
	case 1:
		n.Threshold = 0x1p-128
	case 2:
		n.Threshold = math.Ldexp(1+r.Float64(), r.IntN(6)-3)
	default: // exactly where a bucket ends
		n.Threshold = upper(int32(r.IntN(40)-20)>>max(0, -schema), schema)
	}
	for _, side := range []*[]layout.NativeBucket{&n.Positive, &n.Negative} {
		index := int32(r.IntN(40)-20) >> max(0, -schema)
		if r.IntN(20) == 0 {
			index = lastIndex(schema) - 3
		}
		for range r.IntN(12) {
			index += 1 + int32(r.IntN(4))*int32(r.IntN(2))
			if index > lastIndex(schema)+1 {
				break
			}
			if upper(index, schema) > n.Threshold { // the others are in the zero bucket
				*side = append(*side, layout.NativeBucket{Index: index, Count: uint64(1 + r.IntN(1000))})
			}
		}
	}
	return n
}

// upper is where a bucket ends, for Prometheus.
func upper(index, schema int32) float64 {
	it := theirs(&layout.Native{Schema: schema, Positive: []layout.NativeBucket{{Index: index}}}).PositiveBucketIterator()
	it.Next()
	return it.At().Upper
}

// lastIndex is that of the last bucket that numbers have.
func lastIndex(schema int32) int32 {
	if schema < 0 {
		return 1024 >> -schema
	}
	return 1024 << schema
}

// theirs makes of a histogram what Prometheus has.
func theirs(n *layout.Native) *histogram.FloatHistogram {
	h := &histogram.FloatHistogram{Schema: n.Schema, ZeroThreshold: n.Threshold, ZeroCount: float64(n.Zero), Count: float64(n.Observations())}
	spans := func(buckets []layout.NativeBucket) (spans []histogram.Span, counts []float64) {
		next := int32(0)
		for i, b := range buckets {
			if i == 0 || b.Index != next {
				spans = append(spans, histogram.Span{Offset: b.Index - next})
			}
			spans[len(spans)-1].Length++
			counts, next = append(counts, float64(b.Count)), b.Index+1
		}
		return spans, counts
	}
	h.PositiveSpans, h.PositiveBuckets = spans(n.Positive)
	h.NegativeSpans, h.NegativeBuckets = spans(n.Negative)
	return h
}

// ours makes of what Prometheus has a histogram.
func ours(h *histogram.FloatHistogram) *layout.Native {
	n := &layout.Native{Schema: h.Schema, Threshold: h.ZeroThreshold, Zero: uint64(h.ZeroCount)}
	buckets := func(spans []histogram.Span, counts []float64) (buckets []layout.NativeBucket) {
		index := int32(0)
		for _, s := range spans {
			index += s.Offset
			for range s.Length {
				if counts[0] != 0 {
					buckets = append(buckets, layout.NativeBucket{Index: index, Count: uint64(counts[0])})
				}
				counts = counts[1:]
				index++
			}
		}
		return buckets
	}
	n.Positive = buckets(h.PositiveSpans, h.PositiveBuckets)
	n.Negative = buckets(h.NegativeSpans, h.NegativeBuckets)
	return n
}

// Native histograms are merged as Prometheus adds them.
//
// Prometheus raises the zero threshold of two histograms first, and brings them to one
// schema afterwards: a bucket that the zero bucket took is then in the sum twice, as
// part of a coarser one. So it gets the pair in one schema already, which is also what
// makes a merge of many independent of their order.
func TestNativeMergeIsPrometheuss(t *testing.T) {
	seed := rand.Uint64()
	pairs := effort.Rounds(10_000, 100_000, 100_000)
	t.Logf("seed %d, %d pairs", seed, pairs)
	r := rand.New(rand.NewPCG(seed, 0))
	differed := 0
	for pair := range pairs {
		schema := int32(r.IntN(13) - 4)
		a, b := randomHistogram(r, schema), randomHistogram(r, min(8, schema+int32(r.IntN(3))))
		if r.IntN(2) == 0 {
			a, b = b, a
		}
		var sum merge.Native
		sum.Add(a)
		sum.Add(b)
		got := sum.Sum()

		x, y := theirs(a), theirs(b)
		low := min(a.Schema, b.Schema)
		want, _, _, err := x.CopyToSchema(low).Add(y.CopyToSchema(low))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ours(want), got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("pair %d, %+v and %+v (-Prometheus +merged):\n%s", pair, a, b, diff)
		}
		if err := theirs(got).Validate(); err != nil {
			t.Fatalf("pair %d: Prometheus refuses the sum: %v", pair, err)
		}
		if got.Threshold != max(a.Threshold, b.Threshold) {
			differed++
		}

		// One that began anew is one for both.
		if got, want := merge.NativeAnew(a, b), y.DetectReset(x); got != want && !finerPopulated(a, b) {
			t.Fatalf("pair %d, from %+v to %+v: anew %v, Prometheus says %v", pair, a, b, got, want)
		}
	}
	if differed < pairs/100 {
		t.Errorf("%d of %d pairs raised the zero threshold: too few to mean something", differed, pairs)
	}
}

// finerPopulated reports whether the two are told apart by a rule of Prometheus's that
// is about the resolution of the earlier one: there is more than one right answer
// when the zero bucket grew into buckets that are joined with others at the same time.
func finerPopulated(was, is *layout.Native) bool {
	return is.Schema < was.Schema && is.Threshold > was.Threshold
}

// Classic buckets of two layouts are merged as Prometheus merges custom buckets: to the
// bounds that both have.
func TestBucketMergeIsPrometheuss(t *testing.T) {
	seed := rand.Uint64()
	pairs := effort.Rounds(10_000, 100_000, 100_000)
	t.Logf("seed %d, %d pairs", seed, pairs)
	r := rand.New(rand.NewPCG(seed, 1))
	for pair := range pairs {
		m := merge.New()
		var members [2]*merge.Member
		var values [2][]uint64
		var sum *histogram.FloatHistogram
		for i := range members {
			f := &layout.Family{Type: layout.Histogram, Name: "h"}
			for bound := range 8 {
				if r.IntN(3) > 0 {
					f.Bounds = append(f.Bounds, float64(bound))
				}
			}
			members[i] = m.Join(merge.Process{ID: layout.NewID(), Start: int64(i), Live: true})
			m.Extend(members[i], []*layout.Family{f}, []merge.Input{{}})
			values[i] = make([]uint64, f.ValueWords())
			h := &histogram.FloatHistogram{Schema: histogram.CustomBucketsSchema, CustomValues: f.Bounds}
			for b := range values[i][2:] {
				n := uint64(r.IntN(100))
				values[i][2+b] = n
				values[i][0] += n
				h.Count += float64(n)
				h.PositiveBuckets = append(h.PositiveBuckets, float64(n))
			}
			h.PositiveSpans = []histogram.Span{{Length: uint32(len(h.PositiveBuckets))}}
			if sum == nil {
				sum = h
				continue
			}
			var err error
			if sum, _, _, err = sum.Add(h); err != nil {
				t.Fatal(err)
			}
		}
		m.Begin()
		for i, mb := range members {
			m.Add(mb, values[i])
		}
		f := m.Families()[0]
		want := make([]uint64, len(sum.CustomValues)+1)
		for it := sum.PositiveBucketIterator(); it.Next(); {
			want[it.At().Index] += uint64(it.At().Count)
		}
		if got := f.Series[0].Buckets(); !slices.Equal(f.Bounds, sum.CustomValues) || !slices.Equal(got, want) {
			t.Fatalf("pair %d: %v in %v, Prometheus has %v in %v", pair, got, f.Bounds, want, sum.CustomValues)
		}
	}
}
