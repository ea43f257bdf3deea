package merge

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// randomNative makes a histogram of a few schemas and thresholds, with buckets that
// are often those of others.
func randomNative(r *rand.Rand) *layout.Native {
	schema := int32(r.IntN(4))
	n := &layout.Native{Schema: schema, Threshold: []float64{0, 0x1p-128, 0.4, 0.5, 1.3}[r.IntN(5)], Zero: uint64(r.IntN(4))}
	for _, side := range []*[]layout.NativeBucket{&n.Positive, &n.Negative} {
		index := int32(r.IntN(8)-5) << schema
		for range r.IntN(6) {
			*side = append(*side, layout.NativeBucket{Index: index, Count: uint64(1 + r.IntN(9))})
			index += 1 + int32(r.IntN(3))
		}
	}
	return n
}

func nativeSum(all ...*layout.Native) *layout.Native {
	var s Native
	for _, n := range all {
		s.Add(n)
	}
	return s.Sum()
}

func sameNative(t *testing.T, what string, got, want *layout.Native) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// A sum does not depend on the order of what is added, nor on how it is grouped, nor
// on sums that were made in between. No observation is lost.
func TestNativeSumOfAnyGrouping(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		all := make([]*layout.Native, 1+r.IntN(6))
		var observations uint64
		for i := range all {
			all[i] = randomNative(r)
			observations += all[i].Observations()
		}
		want := nativeSum(all...)
		if err := want.Validate(); err != nil || want.Observations() != observations {
			t.Fatalf("%+v: %v, %d observations, want %d", want, err, want.Observations(), observations)
		}
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		var groups [3]Native
		for _, n := range all {
			g := &groups[r.IntN(len(groups))]
			g.Add(n)
			g.Sum()
		}
		var total Native
		for i := range groups {
			total.addSum(&groups[i])
		}
		sameNative(t, "grouped", total.Sum(), want)

		// The next scrape reuses what this one had.
		total.reset()
		if again := total.Sum(); again != nil {
			t.Fatalf("after a reset: %+v", again)
		}
		last := randomNative(r)
		total.Add(last)
		sameNative(t, "next", total.Sum(), nativeSum(last))
	}
}

// A bucket that ends at the number one has index zero, and that of one and a half
// lies above it.
func TestNativeSumByHand(t *testing.T) {
	fine := &layout.Native{Schema: 1, Threshold: 0.25, Zero: 1, Positive: []layout.NativeBucket{{Index: -3, Count: 2}, {Index: 1, Count: 4}, {Index: 2, Count: 8}}}
	for _, c := range []struct {
		name  string
		other layout.Native
		want  layout.Native
	}{
		{
			name:  "alone to a lower schema",
			other: layout.Native{Threshold: 0.25},
			want:  layout.Native{Threshold: 0.25, Zero: 1, Positive: []layout.NativeBucket{{Index: -1, Count: 2}, {Index: 1, Count: 12}}},
		},
		{
			name:  "to a zero bucket that cuts none",
			other: layout.Native{Schema: 1, Threshold: 1, Zero: 5},
			want:  layout.Native{Schema: 1, Threshold: 1, Zero: 8, Positive: []layout.NativeBucket{{Index: 1, Count: 4}, {Index: 2, Count: 8}}},
		},
		{
			name:  "to one that cuts a bucket",
			other: layout.Native{Schema: 1, Threshold: 1.2, Zero: 5},
			want:  layout.Native{Schema: 1, Threshold: nativeBound(1, 1), Zero: 12, Positive: []layout.NativeBucket{{Index: 2, Count: 8}}},
		},
		{
			name:  "to one that cuts a bucket of the lower schema",
			other: layout.Native{Threshold: 1.2, Zero: 5, Negative: []layout.NativeBucket{{Index: 1, Count: 3}}},
			// The other's own bucket is cut too, once the threshold was raised beyond its own.
			want: layout.Native{Threshold: 2, Zero: 1 + 5 + 2 + 12 + 3},
		},
	} {
		t.Run(c.name, func(t *testing.T) { sameNative(t, "sum", nativeSum(fine, &c.other), &c.want) })
	}
}

// Bounds are those that client_golang and Prometheus have, also at the ends.
func TestNativeBounds(t *testing.T) {
	for _, c := range []struct {
		index, schema int32
		want          float64
	}{
		{index: 0, schema: 0, want: 1},
		{index: 1, schema: 0, want: 2},
		{index: -1, schema: 3, want: 0.9170040432046711},
		{index: 1, schema: 1, want: 1.414213562373095},
		{index: 1024 << 8, schema: 8, want: math.MaxFloat64},
		{index: 1024<<8 + 1, schema: 8, want: math.Inf(+1)},
		{index: 64, schema: -4, want: math.MaxFloat64},
		{index: 65, schema: -4, want: math.Inf(+1)},
		{index: -67, schema: -4, want: 0x1p-1072},
		{index: -1074, schema: 0, want: math.SmallestNonzeroFloat64},
	} {
		if got := nativeBound(c.index, c.schema); got != c.want {
			t.Errorf("bound of bucket %d in schema %d: %v, want %v", c.index, c.schema, got, c.want)
		}
	}
}

func TestNativeAnewAndSince(t *testing.T) {
	was := &layout.Native{Schema: 2, Threshold: 0.5, Zero: 3, Positive: []layout.NativeBucket{{Index: 5, Count: 7}}}
	for _, c := range []struct {
		name   string
		change func(*layout.Native)
		anew   bool
	}{
		{name: "the same", change: func(*layout.Native) {}, anew: false},
		{name: "more", change: func(n *layout.Native) { n.Zero++; n.Positive[0].Count++ }, anew: false},
		{name: "another bucket", change: func(n *layout.Native) { n.Negative = []layout.NativeBucket{{Index: 1, Count: 1}} }, anew: false},
		{name: "less in a bucket", change: func(n *layout.Native) { n.Zero = 9; n.Positive[0].Count-- }, anew: true},
		{name: "less in the zero bucket", change: func(n *layout.Native) { n.Zero-- }, anew: true},
		{name: "a bucket gone", change: func(n *layout.Native) { n.Zero, n.Positive = 10, nil }, anew: true},
		{name: "another bucket instead", change: func(n *layout.Native) { n.Positive[0].Index = 4 }, anew: true},
		{name: "coarser", change: func(n *layout.Native) { n.Schema, n.Positive[0].Index = 0, 2 }, anew: false},
		{name: "finer", change: func(n *layout.Native) { n.Schema = 3 }, anew: true},
		{name: "a wider zero bucket", change: func(n *layout.Native) { n.Threshold, n.Zero, n.Positive = 4, 10, nil }, anew: false},
		{name: "a narrower zero bucket", change: func(n *layout.Native) { n.Threshold = 0.25 }, anew: true},
	} {
		is := *was
		is.Positive = slices.Clone(was.Positive)
		c.change(&is)
		if got := NativeAnew(was, &is); got != c.anew {
			t.Errorf("%s: anew %v, want %v", c.name, got, c.anew)
		}
		since, want := NativeSince(&is, was), is.Observations()
		if !c.anew {
			want -= was.Observations()
		}
		if since.Observations() != want {
			t.Errorf("%s: %d observations since, want %d", c.name, since.Observations(), want)
		}
	}
}

// What an archive keeps of one series is bounded, whatever the dead had.
func TestNativeOfTheDeadIsBounded(t *testing.T) {
	f := &layout.Family{Type: layout.NativeHistogram, Name: "h"}
	l := NewLedger()
	var observations uint64
	for i := range 40 {
		n := &layout.Native{Schema: 8, Threshold: float64(i%20) / 1e6}
		for b := range int32(300) {
			n.Positive = append(n.Positive, layout.NativeBucket{Index: int32(i)*300 + b, Count: 1})
		}
		observations += n.Observations()
		l.Absorb(start(int64(i+1), ""), []*layout.Family{f}, []Input{{}}, []uint64{n.Observations(), 0, n.Observations()}, map[int]*layout.Native{0: n}, 1)
	}
	parts := l.Account(f).Entries()[0].Native().Parts()
	buckets := 0
	for _, p := range parts {
		buckets += len(p.Positive)
		if payload := layout.AppendNative(nil, &p); len(payload) > layout.MaxArchiveRecordBytes {
			t.Errorf("a record of %d bytes", len(payload))
		}
	}
	if len(parts) > maxNativeClasses || buckets > maxNativeBuckets {
		t.Errorf("%d classes, %d buckets, want at most %d, %d", len(parts), buckets, maxNativeClasses, maxNativeBuckets)
	}
	m := New()
	m.Carry(l)
	m.Begin()
	if got := m.Families()[0].Series[0].Native().Observations(); got != observations {
		t.Errorf("%d observations, want %d", got, observations)
	}
}

// Native buckets are of the same observations as the count. Where the newest process
// has none, those of others are left out, and where it has, who has none is.
func TestNativeBesideClassic(t *testing.T) {
	native := &layout.Family{Type: layout.NativeHistogram, Name: "h", Bounds: []float64{1, 2}}
	alone := &layout.Family{Type: layout.NativeHistogram, Name: "h"}
	classic := &layout.Family{Type: layout.Histogram, Name: "h", Bounds: []float64{1, 2}}
	n := &layout.Native{Zero: 3}
	for _, c := range []struct {
		name          string
		older, newer  *layout.Family
		count         float64
		observations  uint64
		classicBounds int
		reason        Reason
	}{
		{name: "both native", older: native, newer: native, count: 6, observations: 6, classicBounds: 2, reason: ""},
		{name: "one without classic buckets", older: alone, newer: native, count: 6, observations: 6, classicBounds: 0, reason: BucketsConflict},
		{name: "native is newer", older: classic, newer: native, count: 3, observations: 3, classicBounds: 2, reason: TypeConflict},
		{name: "classic is newer", older: native, newer: classic, count: 6, observations: 0, classicBounds: 2, reason: BucketsConflict},
		{
			name:          "classic is newer, and the other has no such buckets",
			older:         alone,
			newer:         classic,
			count:         3,
			observations:  0,
			classicBounds: 2,
			reason:        TypeConflict,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := New()
			for i, f := range []*layout.Family{c.older, c.newer} {
				mb := m.Join(start(int64(i+1), ""))
				m.Extend(mb, []*layout.Family{f}, []Input{{}})
			}
			m.Begin()
			for mb := range m.members {
				f := mb.defs[0].family
				words := make([]uint64, f.ValueWords())
				words[0], words[2] = 3, 3
				m.Add(mb, words)
				if f.Type == layout.NativeHistogram {
					m.AddNative(mb, 0, n)
				}
			}
			f := m.Families()[0]
			s := f.Series[0]
			count, _ := s.Observations()
			var observations uint64
			if sum := s.Native(); sum != nil {
				observations = sum.Observations()
			}
			if float64(count) != c.count || observations != c.observations || len(f.Bounds) != c.classicBounds {
				t.Errorf("%d counted, %d in native buckets, %d bounds, want %v, %d, %d", count, observations, len(f.Bounds), c.count, c.observations, c.classicBounds)
			}
			var reason Reason
			for _, conflict := range m.Conflicts() {
				reason = conflict.Reason
			}
			if reason != c.reason {
				t.Errorf("conflicts %v, want %q", m.Conflicts(), c.reason)
			}
		})
	}
}

// Of many exemplars the newest are shown, in the order of their values.
func TestNativeExemplars(t *testing.T) {
	m := New()
	a, b := m.Join(start(1, "")), m.Join(start(2, ""))
	f := &layout.Family{Type: layout.NativeHistogram, Name: "h"}
	for _, mb := range []*Member{a, b} {
		m.Extend(mb, []*layout.Family{f}, []Input{{}})
	}
	m.Begin()
	for i := range 12 {
		m.AddNativeExemplar(a, "h", nil, Exemplar{Value: float64(i), Time: int64(i)})
	}
	if got := m.Families()[0].Series[0].NativeExemplars(); len(got) != 12 {
		t.Errorf("%d of one process, want its 12", len(got))
	}
	m.AddNativeExemplar(b, "h", nil, Exemplar{Value: -1, Time: 99})
	m.AddNativeExemplar(b, "nobody", nil, Exemplar{})
	got := m.Families()[0].Series[0].NativeExemplars()
	if len(got) != 12 || got[0].Value != -1 || got[1].Value != 1 || got[11].Value != 11 {
		t.Errorf("%v, want the newest 12 by value", got)
	}
	m.Begin()
	if got := m.Families()[0].Series[0].NativeExemplars(); got != nil {
		t.Errorf("%v of the scrape before", got)
	}
}
