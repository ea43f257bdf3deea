package foreign

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// maxKeyBytes is the longest key of bbolt.
const maxKeyBytes = bbolt.MaxKeySize

// valid returns the value to stage for a family, nil if a reader would refuse the value
// or the family is not mirrored.
func (m *Mirror) valid(f *dto.MetricFamily) []byte {
	name := f.GetName()
	value := m.encode(f)
	if value == nil || bytes.Equal(m.staged.Families[name], value) {
		return value
	}
	if _, err := mirror.Decode(name, value); err != nil {
		m.leftOut("invalid", name, err, 1)
		return nil
	}
	return value
}

// encode returns the value to stage for a family, nil for none.
func (m *Mirror) encode(f *dto.MetricFamily) []byte {
	name := f.GetName()
	mode, configured, omit := m.Host.Mode(f)
	if omit {
		return nil
	}
	switch f.GetType() {
	case dto.MetricType_GAUGE, dto.MetricType_UNTYPED, dto.MetricType_COUNTER:
	default:
		if configured {
			m.leftOut("mode", name, fmt.Errorf("a %v cannot be merged by %v", f.GetType(), mode), 1)
		}
		mode = 0
	}
	if strings.HasPrefix(name, layout.ReservedPrefix) {
		m.leftOut("name", name, errors.New("names that begin so belong to mpmetrics itself"), 1)
		return nil
	}
	all := m.plain(f)
	value, err := mirror.Encode(all, mode)
	if err == nil && len(value) > layout.MaxMirrorBytes {
		part := m.fit(all)
		n := len(all.Metric) - len(part.Metric)
		m.leftOut("limit", name, fmt.Errorf("%d of %d series find no room in %d bytes", n, len(all.Metric), layout.MaxMirrorBytes), n)
		value, err = mirror.Encode(part, mode)
	}
	if err != nil {
		m.leftOut("invalid", name, err, 1)
		return nil
	}
	if len(name) > maxKeyBytes {
		m.leftOut("invalid", fmt.Sprintf("%.100s", name), fmt.Errorf("a name of %d bytes, at most %d", len(name), maxKeyBytes), 1)
		return nil
	}
	return value
}

// plain is a family without the parts that are not mirrored.
func (m *Mirror) plain(f *dto.MetricFamily) *dto.MetricFamily {
	out := &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit}
	for _, metric := range f.Metric {
		p := &dto.Metric{Label: metric.Label, Gauge: metric.Gauge, Untyped: metric.Untyped}
		if c := metric.Counter; c != nil {
			p.Counter = &dto.Counter{Value: c.Value, CreatedTimestamp: c.CreatedTimestamp}
		}
		if s := metric.Summary; s != nil {
			if len(s.Quantile) > 0 {
				m.leftOut(reasonQuantiles, f.GetName(), errors.New("quantiles of several processes do not merge; sum and count do"), 1)
			}
			p.Summary = &dto.Summary{SampleCount: s.SampleCount, SampleSum: s.SampleSum, CreatedTimestamp: s.CreatedTimestamp}
		}
		if h := metric.Histogram; h != nil {
			if mirror.IsFloat(h) {
				m.leftOut("float", f.GetName(), errors.New("a histogram whose counts are not whole comes from computing, not from observing"), 1)
				continue
			}
			p.Histogram = &dto.Histogram{
				SampleCount: h.SampleCount, SampleSum: h.SampleSum, CreatedTimestamp: h.CreatedTimestamp,
				Schema: h.Schema, ZeroThreshold: h.ZeroThreshold, ZeroCount: h.ZeroCount,
				PositiveSpan: h.PositiveSpan, PositiveDelta: h.PositiveDelta, NegativeSpan: h.NegativeSpan, NegativeDelta: h.NegativeDelta,
			}
			for _, b := range h.Bucket {
				p.Histogram.Bucket = append(p.Histogram.Bucket, &dto.Bucket{UpperBound: b.UpperBound, CumulativeCount: b.CumulativeCount})
			}
		}
		out.Metric = append(out.Metric, p)
	}
	return out
}
