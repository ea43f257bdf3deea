package store

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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

// What is carried began when the first of its collectors did: with a later start
// timestamp it would be counted once more.
func TestCarriedKeepsItsBeginning(t *testing.T) {
	c, first := carried{}, time.Unix(1, 0)
	c.carry(counted(5, first), false, nil)
	got := shownOf(t, c.carry(counted(1, time.Unix(9, 0)), false, nil))
	if got.GetValue() != 6 || !got.CreatedTimestamp.AsTime().Equal(first) {
		t.Errorf("%v since %v, want 6 since %v", got.GetValue(), got.CreatedTimestamp.AsTime(), first)
	}
}

// A process that was forked begins at zero: what its collectors have is the
// parent's.
func TestCarriedOfAParent(t *testing.T) {
	c, before := carried{}, time.Now()
	got := shownOf(t, c.carry(counted(5, time.Unix(1, 0)), true, nil))
	if got.GetValue() != 0 || got.CreatedTimestamp.AsTime().Before(before) {
		t.Errorf("%v since %v, want nothing since the fork", got.GetValue(), got.CreatedTimestamp.AsTime())
	}
	if got := shownOf(t, c.carry(counted(7, time.Unix(1, 0)), false, nil)); got.GetValue() != 2 {
		t.Errorf("%v, want the 2 that were counted here", got.GetValue())
	}
	if got := shownOf(t, c.carry(nil, false, nil)); got.GetValue() != 2 {
		t.Errorf("%v once the collector is gone, want 2", got.GetValue())
	}
}

// A start timestamp that moved says that a series began anew, although it has counted
// more than before since. One that moves each time says nothing.
func TestCarriedBelievesASteadyBeginning(t *testing.T) {
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	c := carried{}
	c.carry(counted(5, at(1)), false, nil)
	c.carry(counted(6, at(1)), false, nil)
	if got := shownOf(t, c.carry(counted(7, at(9)), false, nil)); got.GetValue() != 13 || !got.CreatedTimestamp.AsTime().Equal(at(1)) {
		t.Errorf("%v since %v, want 13 since the first", got.GetValue(), got.CreatedTimestamp.AsTime())
	}
	c = carried{}
	for n := range int64(5) {
		if got := shownOf(t, c.carry(counted(float64(5+n), at(n)), false, nil)); got.GetValue() != float64(5+n) || !got.CreatedTimestamp.AsTime().Equal(at(0)) {
			t.Errorf("%v since %v, want %v since the first", got.GetValue(), got.CreatedTimestamp.AsTime(), 5+n)
		}
	}
}

// What a process that was forked has of its parent, and what
// a collector that begins anew had before, is carried in native buckets too.
func TestCarriedNativeBuckets(t *testing.T) {
	gathered := func(schema int32, zero uint64, count int64) []*dto.MetricFamily {
		n, index := uint64(count)+zero, 1+schema // of the same numbers
		h := &dto.Histogram{
			SampleCount: &n, SampleSum: new(0.0), Schema: &schema, ZeroThreshold: new(0.25), ZeroCount: &zero,
			PositiveSpan: []*dto.BucketSpan{{Offset: &index, Length: new(uint32(1))}}, PositiveDelta: []int64{count},
		}
		return []*dto.MetricFamily{{Name: new("h"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h}}}}
	}
	c := carried{}
	show := func(families []*dto.MetricFamily, inherited bool) *dto.Histogram {
		return c.carry(families, inherited, nil)[0].Metric[0].Histogram
	}
	for i, step := range []struct {
		families    []*dto.MetricFamily
		schema      int32
		zero, count uint64 // in the zero bucket, in all
	}{
		{gathered(2, 5, 7), 2, 0, 0}, // the parent's
		{gathered(2, 6, 9), 2, 1, 3},
		{gathered(1, 6, 10), 1, 1, 4}, // to a lower resolution
		{gathered(2, 1, 1), 1, 2, 6},  // anew, and finer
		{gathered(2, 1, 4), 1, 2, 9},
		{nil, 1, 2, 9}, // unregistered
	} {
		got := show(step.families, i == 0)
		if got.GetSchema() != step.schema || got.GetZeroCount() != step.zero || got.GetSampleCount() != step.count {
			t.Errorf("step %d: schema %d, %d in the zero bucket, %d in all, want %d, %d, %d", i,
				got.GetSchema(), got.GetZeroCount(), got.GetSampleCount(), step.schema, step.zero, step.count)
		}
		if _, err := mirror.DecodeNative(got); err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
}

// In a process that was forked nobody unlocks what a thread of the parent held.
func TestForkedFreesLocks(t *testing.T) {
	m := newMirrorer(&Store{})
	m.fresh.mu.Lock()
	m.exemplars.mu.Lock()
	m.forked()
	if !m.fresh.mu.TryLock() || !m.exemplars.mu.TryLock() {
		t.Error("a new series, or a first exemplar, would wait for ever")
	}
}

// A program may go on with the vec of a store that is closed, for as long as it likes.
func TestClosedStoreNotesNoSeries(t *testing.T) {
	s, err := Open(Opts{Location: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	vec := s.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h", NativeHistogramBucketFactor: 2}, []string{"l"})
	vec.WithLabelValues("a").Observe(1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	vec.WithLabelValues("b").Observe(1)
	if n := len(s.mirror.fresh.all); n != 0 {
		t.Errorf("%d new series are kept in mind, which nobody asks for", n)
	}
}
