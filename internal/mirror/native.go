package mirror

import (
	"fmt"
	"math"

	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// IsNative reports whether a histogram has native buckets with whole counts. A process that counts
// observations has whole counts; float counts come from calculations with histograms.
func IsNative(h *dto.Histogram) bool { return h.Schema != nil && !IsFloat(h) }

// IsFloat reports whether the counts of a histogram are not whole.
func IsFloat(h *dto.Histogram) bool {
	return h.SampleCountFloat != nil || h.ZeroCountFloat != nil || len(h.PositiveCount)+len(h.NegativeCount) > 0
}

// DecodeNative returns the native buckets of a histogram, checked. Errors wrap layout.ErrDamaged.
func DecodeNative(h *dto.Histogram) (*layout.Native, error) {
	n := &layout.Native{Schema: h.GetSchema(), Threshold: h.GetZeroThreshold(), Zero: h.GetZeroCount()}
	var err error
	n.Positive, err = fromSpans(h.PositiveSpan, h.PositiveDelta)
	if err != nil {
		return nil, err
	}
	n.Negative, err = fromSpans(h.NegativeSpan, h.NegativeDelta)
	if err != nil {
		return nil, err
	}
	if err := n.Validate(); err != nil {
		return nil, err
	}
	// No bucket counts NaN. Prometheus refuses a histogram whose buckets and count differ.
	if in, all := n.Observations(), h.GetSampleCount(); in > all || in < all && !math.IsNaN(h.GetSampleSum()) {
		return nil, fmt.Errorf("%d observations in native buckets, of %d: %w", in, all, layout.ErrDamaged)
	}
	return n, nil
}

// fromSpans reads the buckets of the protobuf: each span starts after the previous span, and each
// count is a difference to the previous count.
func fromSpans(spans []*dto.BucketSpan, deltas []int64) ([]layout.NativeBucket, error) {
	var all []layout.NativeBucket
	var index, count int64
	for i, s := range spans {
		index += int64(s.GetOffset())
		if i > 0 && s.GetOffset() < 0 {
			return nil, fmt.Errorf("native span %d goes back by %d: %w", i, s.GetOffset(), layout.ErrDamaged)
		}
		if uint64(s.GetLength()) > uint64(len(deltas)) {
			return nil, fmt.Errorf("native span of %d buckets, %d are there: %w", s.GetLength(), len(deltas), layout.ErrDamaged)
		}
		for _, d := range deltas[:s.GetLength()] {
			count += d
			if count < 0 || index != int64(int32(index)) {
				return nil, fmt.Errorf("native bucket %d with count %d: %w", index, count, layout.ErrDamaged)
			}
			if count > 0 {
				all = append(all, layout.NativeBucket{Index: int32(index), Count: uint64(count)})
			}
			index++
		}
		deltas = deltas[s.GetLength():]
	}
	if len(deltas) > 0 {
		return nil, fmt.Errorf("%d native buckets after the last span: %w", len(deltas), layout.ErrDamaged)
	}
	return all, nil
}

// EncodeNative adds native buckets to a histogram with count and sum, in the encoding of
// client_golang.
func EncodeNative(h *dto.Histogram, n *layout.Native) {
	h.Schema, h.ZeroThreshold, h.ZeroCount = &n.Schema, &n.Threshold, &n.Zero
	h.PositiveSpan, h.PositiveDelta = toSpans(n.Positive)
	h.NegativeSpan, h.NegativeDelta = toSpans(n.Negative)
	if n.Threshold == 0 && n.Zero == 0 && len(n.Positive)+len(n.Negative) == 0 {
		// Without a span a scraper would take the histogram for a classic histogram.
		h.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32(0)), Length: new(uint32(0))}}
	}
	if n.Observations() < h.GetSampleCount() && !math.IsNaN(h.GetSampleSum()) {
		// A process with an observation of NaN died, and its sum was not absorbed. Prometheus
		// accepts a count above the sum of the buckets only if the sum is NaN.
		h.SampleSum = new(math.NaN())
	}
}

// maxGap is the largest number of empty buckets that take less room than a new span.
const maxGap = 2

func toSpans(buckets []layout.NativeBucket) (spans []*dto.BucketSpan, deltas []int64) {
	var next int32
	var before int64
	add := func(count int64) {
		*spans[len(spans)-1].Length++
		deltas, before = append(deltas, count-before), count
	}
	for i, b := range buckets {
		gap := b.Index - next
		if i == 0 || gap > maxGap {
			spans = append(spans, &dto.BucketSpan{Offset: new(gap), Length: new(uint32(0))})
		} else {
			for range gap {
				add(0)
			}
		}
		add(int64(b.Count))
		next = b.Index + 1
	}
	return spans, deltas
}
