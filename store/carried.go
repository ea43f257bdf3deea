package store

import (
	"math"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// carried keeps the cumulative values of a process from going down: a collector
// that is unregistered takes its counters along, one that is replaced begins at
// zero. Prometheus would book what other processes have counted as new. By name of
// the family.
type carried map[string]*carriedFamily

type carriedFamily struct {
	family *dto.MetricFamily // without metrics
	series map[string]*carriedSeries
}

// carriedSeries is a series as it was shown last: base plus what its collector
// said.
type carriedSeries struct {
	metric     *dto.Metric
	created    *timestamppb.Timestamp // of the first that was shown
	base, last []float64              // by component: the value; or count, sum, and cumulative buckets
	native     carriedNative
	began      *timestamppb.Timestamp // as its collector said last
	steady     bool                   // and the time before
	seen       bool
}

// carriedNative are the native buckets of a series, likewise.
type carriedNative struct {
	base         *layout.Native // of before it began anew; nil: it did not
	minus        *layout.Native // not counted by this process; nil: nothing
	last, lately *layout.Native // as its collector said last, and as was shown; nil: it has none
}

// carry returns families with what is carried of them, sorted as they were. It
// changes the metrics of what was gathered. inherited says that they are what the
// parent counted of a process that was just forked: they count from there on. Of our
// own families a series that is gone was deleted, and leaves.
func (c carried) carry(families []*dto.MetricFamily, inherited bool, own map[string]bool) []*dto.MetricFamily {
	for _, f := range c {
		for _, s := range f.series {
			s.seen = false
		}
	}
	there := map[string]*dto.MetricFamily{}
	for _, f := range families {
		there[f.GetName()] = f
		if !cumulative(f) {
			continue
		}
		known := c[f.GetName()]
		if known == nil || known.family.GetType() != f.GetType() {
			known = &carriedFamily{series: map[string]*carriedSeries{}}
			c[f.GetName()] = known
		}
		known.family = &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit}
		for i, m := range f.Metric {
			f.Metric[i] = known.see(m, inherited)
		}
	}
	for name, known := range c {
		for key, s := range known.series {
			if s.seen {
				continue
			}
			if own[name] {
				delete(known.series, key)
				continue
			}
			f := there[name]
			switch {
			case f == nil:
				f = &dto.MetricFamily{Name: known.family.Name, Help: known.family.Help, Type: known.family.Type, Unit: known.family.Unit}
				there[name] = f
				families = append(families, f)
			case f.GetType() != known.family.GetType():
				continue // another type took the name
			}
			f.Metric = append(f.Metric, s.metric)
		}
	}
	slices.SortFunc(families, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return families
}

// forget drops what is carried of series that began anew because they were deleted,
// and made again.
func (c carried) forget(all []newOne) {
	for _, one := range all {
		f := c[one.family]
		if f == nil {
			continue
		}
		for key := range f.series {
			if strings.HasPrefix(key, one.key) {
				delete(f.series, key)
			}
		}
	}
}

func cumulative(f *dto.MetricFamily) bool {
	switch f.GetType() {
	case dto.MetricType_COUNTER, dto.MetricType_SUMMARY, dto.MetricType_HISTOGRAM:
		return true
	}
	return false
}

// see notes what a collector says of a series, and returns what is shown.
func (f *carriedFamily) see(m *dto.Metric, inherited bool) *dto.Metric {
	key := seriesKey(m)
	said, native, began := components(m), nativeOf(m), mirror.Created(m)
	s := f.series[key]
	switch {
	case s == nil:
		s = &carriedSeries{base: make([]float64, len(said)), created: began}
		f.series[key] = s
		if inherited {
			s.created = timestamppb.Now()
			for i := range s.base {
				s.base[i] = -said[i]
			}
			s.native.minus = native
		}
	case less(said, s.last) || s.later(began) || s.native.anew(native):
		for i := range s.base {
			s.base[i] += s.last[i]
		}
		s.native.base, s.native.minus = s.native.lately, nil
	}
	s.steady = s.seenBefore() && proto.Equal(began, s.began)
	s.last, s.native.last, s.began, s.seen = said, native, began, true
	s.native.lately = s.native.sum()
	s.metric = shown(m, s)
	return s.metric
}

func (s *carriedSeries) seenBefore() bool { return s.last != nil }

// later reports whether the start timestamp of a series moved: it began anew, also
// if it has counted more than before since. A collector that says each time that it
// began just now is not believed.
func (s *carriedSeries) later(began *timestamppb.Timestamp) bool {
	return s.steady && s.began != nil && began != nil && began.AsTime().After(s.began.AsTime())
}

// nativeOf returns the native buckets of a metric, nil if it has none that are
// mirrored.
func nativeOf(m *dto.Metric) *layout.Native {
	if m.Histogram == nil || !mirror.IsNative(m.Histogram) {
		return nil
	}
	n, err := mirror.DecodeNative(m.Histogram)
	if err != nil {
		return nil // valid will say so
	}
	return n
}

func (c *carriedNative) anew(said *layout.Native) bool {
	return said != nil && c.last != nil && merge.NativeAnew(c.last, said)
}

// sum is what is shown.
func (c *carriedNative) sum() *layout.Native {
	own := c.last
	if own != nil && c.minus != nil {
		own = merge.NativeSince(own, c.minus)
	}
	if c.base == nil || own == nil {
		return own
	}
	var sum merge.Native
	sum.Add(c.base)
	sum.Add(own)
	return sum.Sum()
}

// seriesKey is what one series of a family has and no other. With other buckets it is
// another series: those of before stay as they were. And with native buckets: those of
// the sum of one that has them and one that has none would lack observations.
func seriesKey(m *dto.Metric) string {
	key := labelsKey(m.Label) + boundsKey(m.GetHistogram())
	if h := m.Histogram; h != nil && mirror.IsNative(h) {
		key += "native"
	}
	return key
}

func boundsKey(h *dto.Histogram) string {
	var b strings.Builder
	for _, bucket := range h.GetBucket() {
		if !math.IsInf(bucket.GetUpperBound(), +1) { // which is there when it has an exemplar
			b.WriteString(strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64))
			b.WriteByte(0xff)
		}
	}
	return b.String()
}

func labelsKey(labels []*dto.LabelPair) string {
	var b strings.Builder
	for _, l := range labels {
		b.WriteString(l.GetName())
		b.WriteByte(0xff)
		b.WriteString(l.GetValue())
		b.WriteByte(0xff)
	}
	return b.String()
}

// components are the numbers of which a metric consists, those first that never
// go down.
func components(m *dto.Metric) []float64 {
	switch {
	case m.Counter != nil:
		return []float64{m.Counter.GetValue()}
	case m.Summary != nil:
		return []float64{float64(m.Summary.GetSampleCount()), m.Summary.GetSampleSum()}
	case m.Histogram != nil:
		c := []float64{float64(m.Histogram.GetSampleCount()), m.Histogram.GetSampleSum()}
		for _, b := range m.Histogram.Bucket {
			if !math.IsInf(b.GetUpperBound(), +1) {
				c = append(c, float64(b.GetCumulativeCount()))
			}
		}
		return c
	}
	return nil
}

// less reports whether a series began anew. A sum may go down by itself, with
// negative observations.
func less(now, before []float64) bool {
	const sum = 1
	for i := range now {
		if now[i] < before[i] && (i != sum || len(now) == 1) {
			return true
		}
	}
	return false
}

// shown is a metric with what is carried of its series: that began when the first
// one did.
func shown(m *dto.Metric, s *carriedSeries) *dto.Metric {
	base := s.base
	if s.native.base == nil && s.native.minus == nil && proto.Equal(mirror.Created(m), s.created) && !slices.ContainsFunc(base, func(v float64) bool { return v != 0 }) {
		return m
	}
	out := &dto.Metric{Label: m.Label, TimestampMs: m.TimestampMs}
	plus := func(v float64, i int) *float64 { return new(v + base[i]) }
	count := func(n uint64, i int) *uint64 { return new(uint64(math.Max(0, float64(n)+base[i]))) }
	switch {
	case m.Counter != nil:
		out.Counter = &dto.Counter{Value: plus(m.Counter.GetValue(), 0), CreatedTimestamp: s.created, Exemplar: m.Counter.Exemplar}
	case m.Summary != nil:
		out.Summary = &dto.Summary{
			SampleCount: count(m.Summary.GetSampleCount(), 0), SampleSum: plus(m.Summary.GetSampleSum(), 1), CreatedTimestamp: s.created,
		}
	case m.Histogram != nil:
		h := m.Histogram
		out.Histogram = &dto.Histogram{
			SampleCount: count(h.GetSampleCount(), 0), SampleSum: plus(h.GetSampleSum(), 1), CreatedTimestamp: s.created, Exemplars: h.Exemplars,
		}
		for i, b := range h.Bucket {
			n := out.Histogram.SampleCount
			if !math.IsInf(b.GetUpperBound(), +1) {
				n = count(b.GetCumulativeCount(), 2+i)
			}
			out.Histogram.Bucket = append(out.Histogram.Bucket, &dto.Bucket{UpperBound: b.UpperBound, CumulativeCount: n, Exemplar: b.Exemplar})
		}
		if s.native.lately != nil {
			mirror.EncodeNative(out.Histogram, s.native.lately)
		}
	}
	return out
}
