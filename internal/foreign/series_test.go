package foreign

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// told is a collector of one series, which the test tells what to show.
type told struct {
	desc *prometheus.Desc
	show *dto.Metric // nil: nothing
}

func newTold(name string, labels ...string) *told {
	all := prometheus.Labels{}
	for i := 0; i < len(labels); i += 2 {
		all[labels[i]] = labels[i+1]
	}
	return &told{desc: prometheus.NewDesc(name, "h", nil, all)}
}

func (c *told) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

func (c *told) Collect(ch chan<- prometheus.Metric) {
	if m := c.show; m != nil {
		m.Label = prometheus.MakeLabelPairs(c.desc, nil)
		ch <- &static{c.desc, m}
	}
}

// counted is a counter; a zero time means no start timestamp.
func counted(v float64, begun time.Time) *dto.Metric {
	c := &dto.Counter{Value: &v}
	if !begun.IsZero() {
		c.CreatedTimestamp = timestamppb.New(begun)
	}
	return &dto.Metric{Counter: c}
}

// only returns the only metric that readers find.
func only(t *testing.T, families []*dto.MetricFamily) *dto.Metric {
	t.Helper()
	if len(families) != 1 || len(families[0].Metric) != 1 {
		t.Fatalf("%v, want one metric", families)
	}
	return families[0].Metric[0]
}

// A series keeps the start timestamp of its first collector: with a later start timestamp
// Prometheus would book the counts once more.
func TestSeriesKeepsTheFirstStart(t *testing.T) {
	w, c, first := newWorld(t), newTold("c_total"), time.Unix(1, 0)
	w.add(c)
	c.show = counted(5, first)
	w.flush()
	c.show = counted(1, time.Now())
	got := only(t, w.flush()).Counter
	if got.GetValue() != 6 || !got.CreatedTimestamp.AsTime().Equal(first) {
		t.Errorf("%v since %v, want 6 since %v", got.GetValue(), got.CreatedTimestamp.AsTime(), first)
	}
}

// A start timestamp that moved means a reset, also when the series has counted more than
// before since. A start timestamp that moves each time means nothing.
func TestSeriesBelievesASteadyStart(t *testing.T) {
	w, c, first := newWorld(t), newTold("c_total"), time.Unix(1, 0)
	w.add(c)
	for _, v := range []float64{5, 6, 6} {
		c.show = counted(v, first)
		w.flush()
	}
	c.show = counted(7, time.Now())
	if got := only(t, w.flush()).Counter; got.GetValue() != 13 || !got.CreatedTimestamp.AsTime().Equal(first) {
		t.Errorf("%v since %v, want 13 since the first", got.GetValue(), got.CreatedTimestamp.AsTime())
	}
	w, c = newWorld(t), newTold("c_total")
	w.add(c)
	first = time.Now()
	for n := range 5 {
		c.show = counted(float64(5+n), first)
		if n > 0 {
			c.show = counted(float64(5+n), time.Now())
		}
		if got := only(t, w.flush()).Counter; got.GetValue() != float64(5+n) || !got.CreatedTimestamp.AsTime().Equal(first) {
			t.Errorf("%v since %v, want %v since the first", got.GetValue(), got.CreatedTimestamp.AsTime(), 5+n)
		}
	}
}

// A start timestamp that moved, and still lies before the last look, is no reset: the value of
// that look was counted since.
func TestSeriesIgnoresAStartBeforeTheLastLook(t *testing.T) {
	hour := time.Now().Add(-time.Hour)
	var between time.Time // after some looks, and before the last look
	for name, start := range map[string]func(look int) time.Time{
		"back and forth": func(look int) time.Time { return hour.Add(time.Duration(look/3%2) * time.Second) },
		"ever later":     func(look int) time.Time { return hour.Add(time.Duration(look) * time.Second) },
		"between looks": func(look int) time.Time {
			switch {
			case look < 3:
				return hour
			case look == 3:
				between = time.Now()
				return hour
			case look < 6:
				return hour
			}
			return between
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, c := newWorld(t), newTold("c_total")
			w.add(c)
			for look := range 12 {
				c.show = counted(1000, start(look))
				if got := only(t, w.flush()).Counter; got.GetValue() != 1000 {
					t.Errorf("look %d: %v, want 1000", look, got.GetValue())
				}
			}
			if n := w.resets["c_total"]; n != 0 {
				t.Errorf("%d resets", n)
			}
		})
	}
}

// A reset is counted by family.
func TestSeriesCountsResets(t *testing.T) {
	w, c, other := newWorld(t), newTold("c_total"), newTold("d_total")
	w.add(c, other)
	other.show = counted(1, time.Time{})
	for _, v := range []float64{1000004, 1000001, 1000002, 5} {
		c.show = counted(v, time.Unix(1, 0))
		w.flush()
	}
	if w.resets["c_total"] != 2 || len(w.resets) != 1 {
		t.Errorf("resets %v, want 2 of c_total", w.resets)
	}
}

// histogramOf is a histogram without labels.
func histogramOf(count uint64, buckets map[float64]uint64) *dto.Metric {
	h := &dto.Histogram{SampleCount: &count, SampleSum: new(float64(count))}
	for _, bound := range slices.Sorted(maps.Keys(buckets)) {
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(buckets[bound])})
	}
	return &dto.Metric{Histogram: h}
}

// A histogram whose bounds differ from look to look counts each observation once, and costs the
// memory of one histogram. After a reset with other bounds the counts of before stay, and the
// bounds that both have.
func TestHistogramWithMovingBounds(t *testing.T) {
	type look struct {
		show   *dto.Metric
		count  uint64
		bounds []float64
	}
	var computed []look // bounds that differ in the last digit
	for n := range 30 {
		e := float64(n) * 1e-10
		computed = append(computed, look{histogramOf(100, map[float64]uint64{.1 + e: 20, .5 + e: 90}), 100, []float64{.1 + e, .5 + e}})
	}
	for _, c := range []struct {
		name  string
		looks []look
	}{
		{name: "computed bounds", looks: computed},
		{name: "only buckets with observations", looks: []look{
			{histogramOf(5, map[float64]uint64{1: 5}), 5, []float64{1}},
			{histogramOf(7, map[float64]uint64{1: 5, 2: 7}), 7, []float64{1, 2}},
			{histogramOf(9, map[float64]uint64{1: 5, 2: 7, 8: 9}), 9, []float64{1, 2, 8}},
			{histogramOf(9, map[float64]uint64{1: 5, 2: 7, 8: 9}), 9, []float64{1, 2, 8}},
		}},
		{name: "there and back", looks: []look{
			{histogramOf(4, map[float64]uint64{1: 4}), 4, []float64{1}},
			{histogramOf(5, map[float64]uint64{2: 5}), 5, []float64{2}},
			{histogramOf(6, map[float64]uint64{1: 6}), 6, []float64{1}},
			{histogramOf(6, map[float64]uint64{2: 6}), 6, []float64{2}},
		}},
		{name: "a reset with other bounds", looks: []look{
			{histogramOf(10, map[float64]uint64{1: 4}), 10, []float64{1}},
			{histogramOf(3, map[float64]uint64{2: 1}), 13, nil},
			{histogramOf(4, map[float64]uint64{2: 2}), 14, nil},
		}},
		{name: "a reset with one bound more", looks: []look{
			{histogramOf(10, map[float64]uint64{1: 4}), 10, []float64{1}},
			{histogramOf(3, map[float64]uint64{1: 1, 2: 1}), 13, []float64{1}},
		}},
		{name: "a reset, then other bounds, and back", looks: []look{
			{histogramOf(10, map[float64]uint64{1: 4}), 10, []float64{1}},
			{histogramOf(3, map[float64]uint64{1: 1}), 13, []float64{1}},
			{histogramOf(5, map[float64]uint64{2: 5}), 15, nil},
			{histogramOf(6, map[float64]uint64{1: 6}), 16, []float64{1}},
			{histogramOf(7, map[float64]uint64{2: 6}), 17, nil},
			{histogramOf(1, map[float64]uint64{2: 1}), 18, nil},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, h := newWorld(t), newTold("h")
			w.add(h)
			for n, look := range c.looks {
				h.show = look.show
				got := only(t, w.flush()).Histogram
				var bounds []float64
				for _, b := range got.Bucket {
					bounds = append(bounds, b.GetUpperBound())
				}
				if got.GetSampleCount() != look.count || !slices.Equal(bounds, look.bounds) {
					t.Errorf("look %d: %d observations with bounds %v, want %d with %v", n, got.GetSampleCount(), bounds, look.count, look.bounds)
				}
			}
		})
	}
}

// nativeOf is a native histogram with one bucket, whose numbers are the same in each schema.
func nativeOf(schema int32, zero uint64, count int64) *dto.Metric {
	n, index := uint64(count)+zero, 1+schema
	return &dto.Metric{Histogram: &dto.Histogram{
		SampleCount: &n, SampleSum: new(0.0), Schema: &schema, ZeroThreshold: new(0.25), ZeroCount: &zero,
		PositiveSpan: []*dto.BucketSpan{{Offset: &index, Length: new(uint32(1))}}, PositiveDelta: []int64{count},
	}}
}

// Native buckets that a collector told before a reset stay in the shown buckets.
func TestNativeBucketsAfterAReset(t *testing.T) {
	w, h := newWorld(t), newTold("h")
	w.add(h)
	for i, step := range []struct {
		show        *dto.Metric
		schema      int32
		zero, count uint64 // in the zero bucket, in all
	}{
		{show: nativeOf(2, 6, 9), schema: 2, zero: 6, count: 15},
		{show: nativeOf(1, 6, 10), schema: 1, zero: 6, count: 16}, // to a lower resolution
		{show: nativeOf(2, 1, 1), schema: 1, zero: 7, count: 18},  // reset, and finer
		{show: nativeOf(2, 1, 4), schema: 1, zero: 7, count: 21},
		{show: nil, schema: 1, zero: 7, count: 21}, // deleted
	} {
		h.show = step.show
		got := only(t, w.flush()).Histogram
		if got.GetSchema() != step.schema || got.GetZeroCount() != step.zero || got.GetSampleCount() != step.count {
			t.Errorf("step %d: schema %d, %d in the zero bucket, %d in all, want %d, %d, %d", i,
				got.GetSchema(), got.GetZeroCount(), got.GetSampleCount(), step.schema, step.zero, step.count)
		}
	}
}

// A value that no counting can have, or that no reader takes, leaves the former value of its
// series, and hurts no other series.
func TestValuesThatAreRefused(t *testing.T) {
	invalid := nativeOf(2, 1, 4)
	invalid.Histogram.Schema = new(int32(100))
	float := nativeOf(2, 1, 4)
	float.Histogram.SampleCountFloat = new(1.5)
	for _, c := range []struct {
		name   string
		before *dto.Metric
		refuse *dto.Metric
		reason string
		want   float64
	}{
		{name: "a negative counter", before: counted(5, time.Time{}), refuse: counted(-3, time.Time{}), reason: reasonValue, want: 5},
		{name: "a negative counter at first", refuse: counted(-3, time.Time{}), reason: reasonValue},
		{name: "buckets that go down", before: histogramOf(5, map[float64]uint64{1: 2}), refuse: histogramOf(9, map[float64]uint64{1: 8, 2: 7}), reason: reasonValue, want: 5},
		{name: "a bucket above the count", before: histogramOf(5, map[float64]uint64{1: 2}), refuse: histogramOf(9, map[float64]uint64{1: 10}), reason: reasonValue, want: 5},
		{name: "a bound that is not a number", before: histogramOf(5, map[float64]uint64{1: 2}), refuse: histogramOf(9, map[float64]uint64{math.NaN(): 2}), reason: reasonInvalid, want: 5},
		{name: "a schema that nobody has", before: nativeOf(2, 1, 4), refuse: invalid, reason: reasonInvalid, want: 5},
		{name: "counts that are not whole", before: nativeOf(2, 1, 4), refuse: float, reason: reasonFloat, want: 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, bad, good := newWorld(t), newTold("f", "l", "bad"), newTold("f", "l", "good")
			w.add(bad, good)
			bad.show = c.before
			if good.show = proto.CloneOf(c.before); c.before == nil {
				good.show = counted(1, time.Time{})
			}
			w.flush()
			bad.show = c.refuse
			got := w.values()
			if n, shown := got["f/bad"]; n != c.want || shown != (c.before != nil) || len(got) == 0 {
				t.Errorf("%v, want %v", got, c.want)
			}
			if w.unmirrored[c.reason] == 0 {
				t.Errorf("counted %v, want one for %q", w.unmirrored, c.reason)
			}
			w.flush()
		})
	}
}

// Native and classic histograms that follow each other add up: the buckets of the sum are those
// that all of them have.
func TestNativeFollowsClassic(t *testing.T) {
	w := newWorld(t)
	for n, show := range []*dto.Metric{nativeOf(2, 1, 4), histogramOf(5, map[float64]uint64{1: 2}), nativeOf(2, 1, 4), histogramOf(5, map[float64]uint64{1: 2})} {
		h := newTold("h")
		h.show = show
		w.add(h)
		got := only(t, w.flush()).Histogram
		if native := mirror.IsNative(got); got.GetSampleCount() != uint64(5*(n+1)) || native != (n == 0) || len(got.Bucket) > 0 {
			t.Errorf("histogram %d: %v", n, got)
		}
		w.m.Remove(h)
	}
}

// A label without a value is no label: two collectors that differ in such a label show one series.
func TestEmptyLabelIsAbsent(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after []string
		same          bool
	}{
		{name: "one label more", before: []string{"a", "x"}, after: []string{"a", "x", "b", ""}, same: true},
		{name: "one label less", before: []string{"a", "x", "b", ""}, after: []string{"a", "x"}, same: true},
		{name: "another empty label", before: []string{"a", "x", "b", ""}, after: []string{"", "", "a", "x"}, same: true},
		{name: "no label at all", before: []string{"a", "", "b", ""}, same: true},
		{name: "the label has a value", before: []string{"a", "x"}, after: []string{"a", "x", "b", "y"}},
		{name: "another label has the value", before: []string{"a", "x", "b", ""}, after: []string{"a", "", "b", "x"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			for n, labels := range [][]string{c.before, c.after} {
				show := counted(float64(n+1), time.Time{})
				for i := 0; i < len(labels); i += 2 {
					show.Label = append(show.Label, &dto.LabelPair{Name: &labels[i], Value: &labels[i+1]})
				}
				collector := collect(func(ch chan<- prometheus.Metric) {
					ch <- &static{prometheus.NewDesc("c_total", "h", nil, nil), show}
				})
				w.add(collector)
				w.flush()
				w.m.mu.Lock()
				guards := w.m.guards
				w.m.mu.Unlock()
				w.m.Remove(guards[0].collector)
			}
			if got := w.flush()[0].Metric; (len(got) == 1) != c.same {
				t.Errorf("%v", got)
			}
		})
	}
}

// A series of any type that dips, goes on from what was shown, and the dip is counted.
func TestDipsOfEveryType(t *testing.T) {
	summaryOf := func(count uint64, sum float64) *dto.Metric {
		return &dto.Metric{Summary: &dto.Summary{SampleCount: &count, SampleSum: &sum}}
	}
	for _, c := range []struct {
		name   string
		looks  []*dto.Metric
		want   float64 // at last
		resets int
	}{
		{name: "counter", looks: []*dto.Metric{counted(1000000, time.Time{}), counted(1000001, time.Time{}), counted(999999, time.Time{}), counted(1000004, time.Time{})}, want: 2000005, resets: 1},
		{name: "counter that dips each time", looks: []*dto.Metric{counted(3, time.Time{}), counted(2, time.Time{}), counted(1, time.Time{})}, want: 6, resets: 2},
		{name: "count of a summary", looks: []*dto.Metric{summaryOf(9, 1), summaryOf(4, 2)}, want: 13, resets: 1},
		{name: "sum of a summary, with negative observations", looks: []*dto.Metric{summaryOf(9, 1), summaryOf(10, -2)}, want: 10},
		{name: "count of a histogram", looks: []*dto.Metric{histogramOf(9, map[float64]uint64{1: 4}), histogramOf(5, map[float64]uint64{1: 4})}, want: 14, resets: 1},
		{name: "bucket of a histogram", looks: []*dto.Metric{histogramOf(9, map[float64]uint64{1: 4}), histogramOf(10, map[float64]uint64{1: 3})}, want: 19, resets: 1},
		{name: "native bucket", looks: []*dto.Metric{nativeOf(2, 3, 4), nativeOf(2, 9, 2)}, want: 18, resets: 1},
		{name: "gauge", looks: []*dto.Metric{{Gauge: &dto.Gauge{Value: new(5.0)}}, {Gauge: &dto.Gauge{Value: new(2.0)}}}, want: 2},
		{name: "counter that is not a number for a moment", looks: []*dto.Metric{counted(7, time.Time{}), counted(math.NaN(), time.Time{}), counted(8, time.Time{})}, want: 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, told := newWorld(t), newTold("f")
			w.add(told)
			got := 0.0
			for _, told.show = range c.looks {
				got = numberOf(only(t, w.flush()))
			}
			if got != c.want || w.resets["f"] != c.resets {
				t.Errorf("%v after %d resets, want %v after %d", got, w.resets["f"], c.want, c.resets)
			}
		})
	}
}
