package mirror

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// observed is a native histogram of client_golang's that has observed some values.
func observed(t testing.TB, o prometheus.HistogramOpts, values ...float64) *dto.Histogram {
	t.Helper()
	o.Name = "h"
	h := prometheus.NewHistogram(o)
	for _, v := range values {
		h.Observe(v)
	}
	var m dto.Metric
	if err := h.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.Histogram
}

// What client_golang writes is read, and written again as it was.
func TestNativeRoundTrip(t *testing.T) {
	for _, c := range []struct {
		name   string
		opts   prometheus.HistogramOpts
		values []float64
	}{
		{name: "nothing observed", opts: prometheus.HistogramOpts{NativeHistogramBucketFactor: 1.1}, values: nil},
		{
			name:   "nothing observed, no zero bucket",
			opts:   prometheus.HistogramOpts{NativeHistogramBucketFactor: 2, NativeHistogramZeroThreshold: prometheus.NativeHistogramZeroThresholdZero},
			values: nil,
		},
		{
			name:   "both signs and zero",
			opts:   prometheus.HistogramOpts{NativeHistogramBucketFactor: 1.1},
			values: []float64{0, 1, 1.05, 3, -7, -7, 1e9, 1e-9},
		},
		{name: "gaps of one, two and three", opts: prometheus.HistogramOpts{NativeHistogramBucketFactor: 2}, values: []float64{1, 4, 32, 512}},
		{
			name:   "the ends",
			opts:   prometheus.HistogramOpts{NativeHistogramBucketFactor: 1.003},
			values: []float64{math.MaxFloat64, math.Inf(1), math.Inf(-1), -math.MaxFloat64},
		},
		{
			name:   "the ends, coarse",
			opts:   prometheus.HistogramOpts{NativeHistogramBucketFactor: 65536},
			values: []float64{math.MaxFloat64, math.Inf(1), math.Inf(-1), 1e-30},
		},
		{name: "not a number", opts: prometheus.HistogramOpts{NativeHistogramBucketFactor: 2}, values: []float64{1, math.NaN()}},
		{
			name:   "with classic buckets",
			opts:   prometheus.HistogramOpts{NativeHistogramBucketFactor: 2, Buckets: []float64{1, 2}},
			values: []float64{1, 5},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := observed(t, c.opts, c.values...)
			n, err := DecodeNative(h)
			if err != nil {
				t.Fatal(err)
			}
			again := &dto.Histogram{SampleCount: h.SampleCount, SampleSum: h.SampleSum, Bucket: h.Bucket, CreatedTimestamp: h.CreatedTimestamp}
			EncodeNative(again, n)
			if !proto.Equal(h, again) && !math.IsNaN(h.GetSampleSum()) {
				t.Errorf("written again:\ngot  %v\nwant %v", again, h)
			}
			back, err := DecodeNative(again)
			if diff := cmp.Diff(n, back, cmpopts.EquateEmpty()); err != nil || diff != "" {
				t.Errorf("read again: %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// A process that observed NaN died, and only its count was absorbed: Prometheus takes the
// rest with a sum that says so.
func TestNativeWithMoreCountedThanInBuckets(t *testing.T) {
	h := &dto.Histogram{SampleCount: new(uint64(3)), SampleSum: new(1.5)}
	EncodeNative(h, &layout.Native{Zero: 2})
	if !math.IsNaN(h.GetSampleSum()) {
		t.Errorf("sum %v of three observations, two of them in buckets", h.GetSampleSum())
	}
	if _, err := DecodeNative(h); err != nil {
		t.Error(err)
	}
}

func TestNativeRefused(t *testing.T) {
	span := func(offset int32, length uint32) *dto.BucketSpan {
		return &dto.BucketSpan{Offset: &offset, Length: &length}
	}
	for _, c := range []struct {
		name   string
		change func(*dto.Histogram)
		saying string
	}{
		{name: "schema of custom bounds", change: func(h *dto.Histogram) { h.Schema = new(int32(-53)) }, saying: "schema -53"},
		{name: "threshold below zero", change: func(h *dto.Histogram) { h.ZeroThreshold = new(-1.0) }, saying: "zero threshold -1"},
		{
			name:   "span that goes back",
			change: func(h *dto.Histogram) { h.PositiveSpan = []*dto.BucketSpan{span(0, 1), span(-1, 1)} },
			saying: "goes back by -1",
		},
		{
			name:   "span without buckets",
			change: func(h *dto.Histogram) { h.PositiveSpan = []*dto.BucketSpan{span(0, math.MaxUint32)} },
			saying: "4294967295 buckets, 2 are there",
		},
		{name: "buckets without a span", change: func(h *dto.Histogram) { h.PositiveSpan = nil }, saying: "2 native buckets after the last span"},
		{name: "count below zero", change: func(h *dto.Histogram) { h.PositiveDelta = []int64{1, -2} }, saying: "with count -1"},
		{
			name:   "index beyond its type",
			change: func(h *dto.Histogram) { h.PositiveSpan = []*dto.BucketSpan{span(math.MaxInt32, 2)} },
			saying: "native bucket 2147483648",
		},
		{
			name:   "index beyond the numbers",
			change: func(h *dto.Histogram) { h.PositiveSpan = []*dto.BucketSpan{span(5000, 2)} },
			saying: "beyond the numbers",
		},
		{name: "negative buckets likewise", change: func(h *dto.Histogram) { h.NegativeDelta = []int64{1} }, saying: "after the last span"},
		{
			name:   "more in buckets than counted",
			change: func(h *dto.Histogram) { h.SampleCount = new(uint64(1)) },
			saying: "2 observations in native buckets, of 1",
		},
		{
			name:   "fewer in buckets than counted",
			change: func(h *dto.Histogram) { h.SampleCount = new(uint64(3)) },
			saying: "2 observations in native buckets, of 3",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := observed(t, prometheus.HistogramOpts{NativeHistogramBucketFactor: 2}, 1, 2)
			c.change(h)
			n, err := DecodeNative(h)
			if !errors.Is(err, layout.ErrDamaged) || !strings.Contains(err.Error(), c.saying) || n != nil {
				t.Errorf("got %v, %v, want nil and an error that says %q", n, err, c.saying)
			}
		})
	}
}

// Counts that are not whole are nobody's observations.
func TestFloatHistograms(t *testing.T) {
	h := observed(t, prometheus.HistogramOpts{NativeHistogramBucketFactor: 2}, 1)
	if IsFloat(h) || !IsNative(h) {
		t.Error("one of client_golang's is taken for one of floats")
	}
	h.SampleCountFloat = new(1.5)
	if !IsFloat(h) || IsNative(h) {
		t.Error("one of floats is not")
	}
}

func FuzzDecode(f *testing.F) {
	for _, h := range []*dto.Histogram{
		observed(f, prometheus.HistogramOpts{NativeHistogramBucketFactor: 1.1, Buckets: []float64{1, 2}}, -1, 0, 1, 2, 3),
		observed(f, prometheus.HistogramOpts{Buckets: []float64{1, 2}}, 1),
	} {
		family := &dto.MetricFamily{Name: new("h"), Type: dto.MetricType_HISTOGRAM.Enum(), Metric: []*dto.Metric{{Histogram: h}}}
		b, err := proto.Marshal(family)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, family []byte) {
		all, err := Decode("h", layout.AppendMirror(nil, 0, family))
		if err != nil {
			if !errors.Is(err, layout.ErrDamaged) {
				t.Fatalf("error %v does not wrap %v", err, layout.ErrDamaged)
			}
			return
		}
		for _, s := range all {
			if err := s.Family.Validate(); err != nil {
				t.Error(err)
			}
			if len(s.Words) != s.Family.ValueWords() || (s.Native != nil) != (s.Family.Type == layout.NativeHistogram) {
				t.Errorf("series %+v of %+v", s, s.Family)
			}
			if s.Native != nil && s.Native.Validate() != nil {
				t.Error(s.Native.Validate())
			}
		}
	})
}
