package foreign

import (
	"maps"
	"slices"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// counted is a family of one counter, as a registry gathers it.
func counted(v float64, begun time.Time) []*dto.MetricFamily {
	return []*dto.MetricFamily{{
		Name: new("c_total"), Type: dto.MetricType_COUNTER.Enum(),
		Metric: []*dto.Metric{{Counter: &dto.Counter{Value: new(v), CreatedTimestamp: timestamppb.New(begun)}}},
	}}
}

func shownOf(t *testing.T, families []*dto.MetricFamily) *dto.Counter {
	t.Helper()
	if len(families) != 1 || len(families[0].Metric) != 1 {
		t.Fatalf("%v, want one counter", families)
	}
	return families[0].Metric[0].Counter
}

// A series keeps the start timestamp of its first collector: with a later start timestamp
// Prometheus would book the counts once more.
func TestMonotoneKeepsTheFirstStart(t *testing.T) {
	c, first := monotone{}, time.Unix(1, 0)
	c.keep(counted(5, first), nil, time.Unix(5, 0))
	got := shownOf(t, c.keep(counted(1, time.Unix(9, 0)), nil, time.Unix(10, 0)))
	if got.GetValue() != 6 || !got.CreatedTimestamp.AsTime().Equal(first) {
		t.Errorf("%v since %v, want 6 since %v", got.GetValue(), got.CreatedTimestamp.AsTime(), first)
	}
}

// A start timestamp that moved means a reset, also when the series has counted more than
// before since. A start timestamp that moves each time means nothing.
func TestMonotoneBelievesASteadyStart(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	c := monotone{}
	c.keep(counted(5, at(1)), nil, at(5))
	c.keep(counted(6, at(1)), nil, at(6))
	if got := shownOf(t, c.keep(counted(7, at(9)), nil, at(10))); got.GetValue() != 13 || !got.CreatedTimestamp.AsTime().Equal(at(1)) {
		t.Errorf("%v since %v, want 13 since the first", got.GetValue(), got.CreatedTimestamp.AsTime())
	}
	c = monotone{}
	for n := range int64(5) {
		if got := shownOf(t, c.keep(counted(float64(5+n), at(n)), nil, at(n))); got.GetValue() != float64(5+n) || !got.CreatedTimestamp.AsTime().Equal(at(0)) {
			t.Errorf("%v since %v, want %v since the first", got.GetValue(), got.CreatedTimestamp.AsTime(), 5+n)
		}
	}
}

// A start timestamp that moved, and still lies before the last look, is no reset: the value of
// that look was counted since.
func TestMonotoneIgnoresAStartBeforeTheLastLook(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	c := monotone{}
	for n, begun := range []int64{1, 1, 3, 3, 8, 8, 12, 12} {
		if got := shownOf(t, c.keep(counted(1000, at(begun)), nil, at(20+int64(n)))); got.GetValue() != 1000 {
			t.Errorf("look %d, said to have begun at %d: %v, want 1000", n, begun, got.GetValue())
		}
	}
	if n := c.takeResets()["c_total"]; n != 0 {
		t.Errorf("%d resets", n)
	}
}

// A reset is counted by family.
func TestMonotoneCountsResets(t *testing.T) {
	c := monotone{}
	for _, v := range []float64{1000004, 1000001, 1000002, 5} {
		c.keep(counted(v, time.Unix(1, 0)), nil, time.Unix(2, 0))
	}
	if n := c.takeResets()["c_total"]; n != 2 {
		t.Errorf("%d resets, want 2", n)
	}
	if n := len(c.takeResets()); n != 0 {
		t.Errorf("%d families with resets since the last call", n)
	}
}

// histogramOf is a family of one histogram without labels.
func histogramOf(count uint64, buckets map[float64]uint64) []*dto.MetricFamily {
	h := &dto.Histogram{SampleCount: &count, SampleSum: new(float64(count))}
	for _, bound := range slices.Sorted(maps.Keys(buckets)) {
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(buckets[bound])})
	}
	return []*dto.MetricFamily{{Name: new("h"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h}}}}
}

// A histogram whose bounds differ from look to look counts each observation once, and costs the
// memory of one histogram; a reset meanwhile keeps the counts of before.
func TestMonotoneHistogramWithMovingBounds(t *testing.T) {
	total := func(families []*dto.MetricFamily) (n uint64) {
		for _, m := range families[0].Metric {
			n += m.Histogram.GetSampleCount()
		}
		return n
	}
	type look struct {
		families []*dto.MetricFamily
		want     uint64
	}
	var computed []look // bounds that differ in the last digit
	for n := range 30 {
		e := float64(n) * 1e-10
		computed = append(computed, look{histogramOf(100, map[float64]uint64{.1 + e: 20, .5 + e: 90}), 100})
	}
	for _, c := range []struct {
		name   string
		looks  []look
		series int // kept at last
	}{
		{name: "computed bounds", looks: computed, series: 1},
		{name: "only buckets with observations", looks: []look{
			{histogramOf(5, map[float64]uint64{1: 5}), 5},
			{histogramOf(7, map[float64]uint64{1: 5, 2: 7}), 7},
			{histogramOf(9, map[float64]uint64{1: 5, 2: 7, 8: 9}), 9},
			{histogramOf(9, map[float64]uint64{1: 5, 2: 7, 8: 9}), 9},
		}, series: 1},
		{name: "there and back", looks: []look{
			{histogramOf(4, map[float64]uint64{1: 4}), 4},
			{histogramOf(5, map[float64]uint64{2: 5}), 5},
			{histogramOf(6, map[float64]uint64{1: 6}), 6},
			{histogramOf(6, map[float64]uint64{2: 6}), 6},
		}, series: 1},
		{name: "a reset with other bounds", looks: []look{
			{histogramOf(10, map[float64]uint64{1: 4}), 10},
			{histogramOf(3, map[float64]uint64{2: 1}), 13},
			{histogramOf(4, map[float64]uint64{2: 2}), 14},
		}, series: 2},
		{name: "a reset, then other bounds, and back", looks: []look{
			{histogramOf(10, map[float64]uint64{1: 4}), 10},
			{histogramOf(3, map[float64]uint64{1: 1}), 13},
			{histogramOf(5, map[float64]uint64{2: 5}), 15},
			{histogramOf(6, map[float64]uint64{1: 6}), 16},
			{histogramOf(7, map[float64]uint64{2: 6}), 17},
			{histogramOf(1, map[float64]uint64{2: 1}), 18},
		}, series: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := monotone{}
			for n, look := range c.looks {
				got := m.keep(look.families, nil, time.Unix(int64(n), 0))
				if total(got) != look.want {
					t.Errorf("look %d: %d observations, want %d", n, total(got), look.want)
				}
			}
			if n := len(m["h"].series); n != c.series {
				t.Errorf("%d series are kept, want %d", n, c.series)
			}
		})
	}
}

// Native buckets that a collector told before a reset stay in the shown buckets.
func TestMonotoneNativeBuckets(t *testing.T) {
	gathered := func(schema int32, zero uint64, count int64) []*dto.MetricFamily {
		n, index := uint64(count)+zero, 1+schema // of the same numbers
		h := &dto.Histogram{
			SampleCount: &n, SampleSum: new(0.0), Schema: &schema, ZeroThreshold: new(0.25), ZeroCount: &zero,
			PositiveSpan: []*dto.BucketSpan{{Offset: &index, Length: new(uint32(1))}}, PositiveDelta: []int64{count},
		}
		return []*dto.MetricFamily{{Name: new("h"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h}}}}
	}
	c := monotone{}
	show := func(families []*dto.MetricFamily) *dto.Histogram {
		return c.keep(families, nil, time.Now())[0].Metric[0].Histogram
	}
	for i, step := range []struct {
		families    []*dto.MetricFamily
		schema      int32
		zero, count uint64 // in the zero bucket, in all
	}{
		{families: gathered(2, 6, 9), schema: 2, zero: 6, count: 15},
		{families: gathered(1, 6, 10), schema: 1, zero: 6, count: 16}, // to a lower resolution
		{families: gathered(2, 1, 1), schema: 1, zero: 7, count: 18},  // reset, and finer
		{families: gathered(2, 1, 4), schema: 1, zero: 7, count: 21},
		{families: nil, schema: 1, zero: 7, count: 21}, // unregistered
	} {
		got := show(step.families)
		if got.GetSchema() != step.schema || got.GetZeroCount() != step.zero || got.GetSampleCount() != step.count {
			t.Errorf("step %d: schema %d, %d in the zero bucket, %d in all, want %d, %d, %d", i,
				got.GetSchema(), got.GetZeroCount(), got.GetSampleCount(), step.schema, step.zero, step.count)
		}
		if _, err := mirror.DecodeNative(got); err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
}
