package foreign

import (
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
	c.keep(counted(5, first), nil)
	got := shownOf(t, c.keep(counted(1, time.Unix(9, 0)), nil))
	if got.GetValue() != 6 || !got.CreatedTimestamp.AsTime().Equal(first) {
		t.Errorf("%v since %v, want 6 since %v", got.GetValue(), got.CreatedTimestamp.AsTime(), first)
	}
}

// A start timestamp that moved means a reset, also when the series has counted more than
// before since. A start timestamp that moves each time means nothing.
func TestMonotoneBelievesASteadyStart(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	c := monotone{}
	c.keep(counted(5, at(1)), nil)
	c.keep(counted(6, at(1)), nil)
	if got := shownOf(t, c.keep(counted(7, at(9)), nil)); got.GetValue() != 13 || !got.CreatedTimestamp.AsTime().Equal(at(1)) {
		t.Errorf("%v since %v, want 13 since the first", got.GetValue(), got.CreatedTimestamp.AsTime())
	}
	c = monotone{}
	for n := range int64(5) {
		if got := shownOf(t, c.keep(counted(float64(5+n), at(n)), nil)); got.GetValue() != float64(5+n) || !got.CreatedTimestamp.AsTime().Equal(at(0)) {
			t.Errorf("%v since %v, want %v since the first", got.GetValue(), got.CreatedTimestamp.AsTime(), 5+n)
		}
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
		return c.keep(families, nil)[0].Metric[0].Histogram
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
