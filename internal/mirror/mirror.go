// Package mirror encodes foreign metric families as protobuf for the file, and decodes the
// protobuf into layout families and series, like the families and series of the log.
package mirror

import (
	"cmp"
	"fmt"
	"math"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Series is one series of a mirrored family.
type Series struct {
	Family  *layout.Family // shared by series with equal label names
	Values  []string       // in the order of Family.LabelNames
	Created int64          // start timestamp, Unix nanoseconds; 0: unknown
	Share   bool           // the series was deleted, and others may still have the series
	Stamped bool           // the time of the value is to be shown
	Words   []uint64       // the value, as layout.Family.ValueWords lists the words
	Native  *layout.Native // the native buckets of a native histogram; otherwise nil
}

// Encode encodes a family for the file, with the mode of the merge or zero. Equal families become
// equal bytes. Encode does not check the family; Decode does.
func Encode(family *dto.MetricFamily, mode layout.Mode) ([]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(family)
	if err != nil {
		return nil, err
	}
	return layout.AppendMirror(nil, mode, b), nil
}

// Decode decodes the value of Encode for the family name, and checks the rules of a scrape: any
// program may have written the file, and a foreign collector may emit anything. Errors wrap
// layout.ErrDamaged.
func Decode(name string, value []byte) ([]Series, error) {
	mode, encoded, err := layout.DecodeMirror(value)
	if err != nil {
		return nil, err
	}
	var family dto.MetricFamily
	if err := proto.Unmarshal(encoded, &family); err != nil {
		return nil, fmt.Errorf("%w: %w", err, layout.ErrDamaged)
	}
	if family.GetName() != name {
		return nil, fmt.Errorf("its name is %.100q: %w", family.GetName(), layout.ErrDamaged)
	}
	all := make([]Series, 0, len(family.Metric))
	families := map[string]*layout.Family{}
	seen := make(map[string]bool, len(family.Metric))
	for _, metric := range family.Metric {
		f, values, words, err := convert(&family, metric, mode)
		if err != nil {
			return nil, err
		}
		var native *layout.Native
		if f.Type == layout.NativeHistogram {
			if native, err = DecodeNative(metric.Histogram); err != nil {
				return nil, err
			}
		}
		wording := f.Wording()
		if known := families[wording]; known != nil {
			f = known
		} else if err := f.Validate(); err != nil {
			return nil, err
		}
		families[wording] = f
		s := layout.Series{Values: values}
		if err := s.Validate(f); err != nil {
			return nil, err
		}
		key := layout.SeriesKey(wording, values)
		if seen[key] {
			return nil, fmt.Errorf("two series with values %q: %w", values, layout.ErrDamaged)
		}
		seen[key] = true
		all = append(all, Series{Family: f, Values: values, Created: created(metric), Share: f.Type.Cumulative() && f.Mode == 0 && metric.TimestampMs != nil, Stamped: f.Mode.Timed(), Words: words, Native: native})
	}
	return all, nil
}

// convert turns a metric into the form of the log: the family with the metric's own label names,
// the label values, and the value in the words of layout.Family.ValueWords.
func convert(family *dto.MetricFamily, metric *dto.Metric, mode layout.Mode) (*layout.Family, []string, []uint64, error) {
	f := &layout.Family{Name: family.GetName(), Help: family.GetHelp(), Unit: family.GetUnit(), Mode: mode}
	values := make([]string, len(metric.Label))
	for i, l := range metric.Label {
		f.LabelNames = append(f.LabelNames, l.GetName())
		values[i] = l.GetValue()
	}
	var words []uint64
	var err error
	switch t := family.GetType(); {
	case t == dto.MetricType_COUNTER && metric.Counter != nil:
		f.Type, words = layout.Counter, number(mode, metric.Counter.GetValue(), nil)
	case t == dto.MetricType_GAUGE && metric.Gauge != nil:
		f.Type, words = layout.Gauge, number(mode, metric.Gauge.GetValue(), metric.TimestampMs)
	case t == dto.MetricType_UNTYPED && metric.Untyped != nil:
		f.Type, words = layout.Untyped, number(mode, metric.Untyped.GetValue(), metric.TimestampMs)
	case t == dto.MetricType_SUMMARY && metric.Summary != nil:
		s := metric.Summary
		f.Type, words = layout.Summary, []uint64{s.GetSampleCount(), math.Float64bits(s.GetSampleSum())}
	case t == dto.MetricType_HISTOGRAM && metric.Histogram != nil:
		f.Type = layout.Histogram
		if IsNative(metric.Histogram) {
			f.Type = layout.NativeHistogram
		}
		f.Bounds, words, err = buckets(metric.Histogram)
	default:
		err = fmt.Errorf("a metric of %v that is none: %w", t, layout.ErrDamaged)
	}
	if err == nil && len(words) != f.ValueWords() {
		err = fmt.Errorf("%v with %v: %w", f.Type, mode, layout.ErrDamaged)
	}
	return f, values, words, err
}

// number returns the words of a single number: a gauge by its mode, with its timestamp if the mode
// needs a time, or a counter, as either the integer part or the float part.
func number(mode layout.Mode, v float64, timestampMs *int64) []uint64 {
	const (
		maxWhole        = 1 << 53 // above 1<<53 float64 has no fractions
		maxMilliseconds = math.MaxInt64 / int64(time.Millisecond)
	)
	switch whole := uint64(v); {
	case mode.Timed() && timestampMs == nil:
		return nil // the value needs a time
	case mode.Timed():
		return []uint64{1, math.Float64bits(v), uint64(max(-maxMilliseconds, min(*timestampMs, maxMilliseconds)) * int64(time.Millisecond))}
	case mode.Valid():
		return []uint64{layout.EncodeGauge(v)}
	case v >= 0 && v <= maxWhole && float64(whole) == v:
		return []uint64{whole, 0}
	}
	return []uint64{0, math.Float64bits(v)}
}

// buckets returns the bounds of a histogram and its words.
func buckets(h *dto.Histogram) ([]float64, []uint64, error) {
	words := []uint64{h.GetSampleCount(), math.Float64bits(h.GetSampleSum())}
	var bounds []float64
	var before uint64
	for _, b := range h.Bucket {
		if math.IsInf(b.GetUpperBound(), +1) {
			continue // +Inf has the rest of the count
		}
		if len(bounds) >= layout.MaxBuckets {
			return nil, nil, fmt.Errorf("more than %d buckets: %w", layout.MaxBuckets, layout.ErrDamaged)
		}
		n := b.GetCumulativeCount()
		if n < before || n > h.GetSampleCount() {
			return nil, nil, fmt.Errorf("bucket of %d observations after %d, of %d: %w", n, before, h.GetSampleCount(), layout.ErrDamaged)
		}
		bounds, words, before = append(bounds, b.GetUpperBound()), append(words, n-before), n
	}
	return bounds, append(words, h.GetSampleCount()-before), nil
}

// Created is the start timestamp of a metric, nil for none.
func Created(m *dto.Metric) *timestamppb.Timestamp {
	return cmp.Or(m.GetCounter().GetCreatedTimestamp(), m.GetHistogram().GetCreatedTimestamp(), m.GetSummary().GetCreatedTimestamp())
}

// created is Created in Unix nanoseconds, 0 for none.
func created(m *dto.Metric) int64 {
	if t := Created(m); t != nil {
		return t.AsTime().UnixNano()
	}
	return 0
}
