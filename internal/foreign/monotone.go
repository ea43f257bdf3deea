package foreign

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// monotone keeps the cumulative values of a process from going down. An unregistered collector
// takes its counters along, and a replaced collector starts at zero. After a dip of the total,
// Prometheus would count the values of other processes again. The key is the name of the family.
type monotone map[string]*monotoneFamily

type monotoneFamily struct {
	family  *dto.MetricFamily // without metrics
	series  map[string]*monotoneSeries
	current map[string]string // by labelsKey: the seriesKey of the last run of the collector
	resets  int               // since the last take
}

// monotoneSeries is a series as last shown: base plus the last values of the collector.
type monotoneSeries struct {
	metric     *dto.Metric
	created    *timestamppb.Timestamp // start timestamp of the first shown metric
	base, last []float64              // by component: the value; or count, sum, and cumulative buckets
	native     monotoneNative
	began      *timestamppb.Timestamp // start timestamp by the last run of the collector
	at         time.Time              // of the last run of the collector
	steady     bool                   // the last two runs had the same start timestamp
	ended      bool                   // the collector was unregistered
	seen       bool
}

// monotoneNative are the native buckets of a series.
type monotoneNative struct {
	base         *layout.Native // buckets before the last reset; nil: no reset
	last, lately *layout.Native // by the collector, and as shown; nil: no native buckets
}

// keep returns the families, sorted by name, with no cumulative value lower than before. keep
// changes the gathered metrics, which were gathered after the moment at. A missing series of an
// own family was deleted, and leaves.
func (c monotone) keep(families []*dto.MetricFamily, own map[string]bool, at time.Time) []*dto.MetricFamily {
	for _, f := range c {
		for _, s := range f.series {
			s.seen = false
		}
	}
	there := map[string]*dto.MetricFamily{}
	for _, f := range families {
		there[f.GetName()] = f
		c.note(f, at)
	}
	for name, known := range c {
		for key, s := range known.series {
			if s.seen {
				continue
			}
			if own[name] {
				known.delete(key)
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

// note records a gathered family, whose metrics become the metrics to show, and returns its
// series.
func (c monotone) note(f *dto.MetricFamily, at time.Time) (all []*monotoneSeries) {
	if !cumulative(f) {
		return nil
	}
	known := c[f.GetName()]
	if known == nil || known.family.GetType() != f.GetType() {
		known = &monotoneFamily{series: map[string]*monotoneSeries{}, current: map[string]string{}}
		c[f.GetName()] = known
	}
	known.family = &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit}
	for i, m := range f.Metric {
		s := known.see(m, at)
		f.Metric[i] = s.metric
		all = append(all, s)
	}
	return all
}

// takeResets returns how many series were reset since the last call, by name of the family.
func (c monotone) takeResets() map[string]int {
	resets := map[string]int{}
	for name, f := range c {
		if f.resets > 0 {
			resets[name], f.resets = f.resets, 0
		}
	}
	return resets
}

// forget drops the base of series that were deleted and made again.
func (c monotone) forget(all []freshSeries) {
	for _, s := range all {
		f := c[s.family]
		if f == nil {
			continue
		}
		for key := range f.series {
			if strings.HasPrefix(key, s.key) {
				f.delete(key)
			}
		}
	}
}

// delete forgets the series with a key.
func (f *monotoneFamily) delete(key string) {
	delete(f.current, labelsKey(f.series[key].metric.GetLabel()))
	delete(f.series, key)
}

func cumulative(f *dto.MetricFamily) bool {
	switch f.GetType() {
	case dto.MetricType_COUNTER, dto.MetricType_SUMMARY, dto.MetricType_HISTOGRAM:
		return true
	}
	return false
}

// see records the values of a collector for a series, and returns the series with the metric to
// show.
func (f *monotoneFamily) see(m *dto.Metric, at time.Time) *monotoneSeries {
	labels, key := labelsKey(m.Label), seriesKey(m)
	told, native, began := components(m), nativeOf(m), mirror.Created(m)
	var moved *monotoneSeries
	if key != f.current[labels] {
		moved = f.move(f.current[labels], told, began)
		f.current[labels] = key
	}
	s := f.series[key]
	switch {
	case s == nil:
		s = &monotoneSeries{base: make([]float64, len(told)), created: began}
		f.series[key] = s
	case s.ended && !(began != nil && proto.Equal(began, s.began)):
		s.reset() // by another collector than the unregistered one
	case less(told, s.last) || s.later(began) || s.native.wasReset(native):
		s.reset()
		f.resets++
	}
	if moved != nil {
		s.created, s.native, s.began, s.at, s.steady = moved.created, moved.native, moved.began, moved.at, moved.steady
	}
	s.steady = s.seenBefore() && proto.Equal(began, s.began)
	s.last, s.native.last, s.began, s.at, s.seen, s.ended = told, native, began, at, true, false
	s.native.lately = s.native.sum()
	s.metric = shown(m, s)
	return s
}

// move takes the last values out of the series with a key, if the collector shows the same
// histogram with other bounds now: a histogram that only shows buckets with observations, or
// computes its bounds, counts each observation once all the same. move returns the series, nil
// if the histogram is another one. The base of the series, counted before a reset, stays.
func (f *monotoneFamily) move(key string, told []float64, began *timestamppb.Timestamp) *monotoneSeries {
	s := f.series[key]
	if s == nil || s.metric.GetHistogram() == nil || s.ended || told[0] < s.last[0] || s.later(began) {
		return nil
	}
	moved := *s
	s.native, s.last = monotoneNative{}, make([]float64, len(s.base))
	if !slices.ContainsFunc(s.base, func(v float64) bool { return v != 0 }) {
		delete(f.series, key)
		return &moved
	}
	rest := &dto.Histogram{SampleCount: new(uint64(0)), SampleSum: new(0.0)}
	for _, b := range s.metric.Histogram.Bucket {
		rest.Bucket = append(rest.Bucket, &dto.Bucket{UpperBound: b.UpperBound, CumulativeCount: new(uint64(0))})
	}
	s.metric = shown(&dto.Metric{Label: s.metric.Label, Histogram: rest}, s)
	return &moved
}

// reset adds the last values to the base: the values of the collector start again at zero.
func (s *monotoneSeries) reset() {
	for i := range s.base {
		s.base[i] += s.last[i]
	}
	s.native.base = s.native.lately
}

func (s *monotoneSeries) seenBefore() bool { return s.last != nil }

// later reports whether the start timestamp of a series moved beyond the last run of the
// collector. The series was reset then, even if the values are higher than before the reset. A
// start timestamp before the last run is no reset, because the values of the last run were
// counted since. If the start timestamp moves in each run, later ignores the start timestamp.
func (s *monotoneSeries) later(began *timestamppb.Timestamp) bool {
	return s.steady && s.began != nil && began != nil && began.AsTime().After(s.began.AsTime()) && began.AsTime().After(s.at)
}

// nativeOf returns the native buckets of a metric, nil without valid native buckets.
func nativeOf(m *dto.Metric) *layout.Native {
	if m.Histogram == nil || !mirror.IsNative(m.Histogram) {
		return nil
	}
	n, err := mirror.DecodeNative(m.Histogram)
	if err != nil {
		return nil // Mirror.valid reports the error
	}
	return n
}

func (c *monotoneNative) wasReset(told *layout.Native) bool {
	return told != nil && c.last != nil && merge.NativeAnew(c.last, told)
}

// sum returns the buckets to show.
func (c *monotoneNative) sum() *layout.Native {
	if c.base == nil || c.last == nil {
		return c.last
	}
	var sum merge.Native
	sum.Add(c.base)
	sum.Add(c.last)
	return sum.Sum()
}

// seriesKey returns a key for a series, unique in the family. A histogram with other buckets is
// another series, and the former series stays as shown. A histogram with native buckets differs
// from a histogram without native buckets, because the native buckets of the sum would lack
// observations.
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
		if !math.IsInf(bucket.GetUpperBound(), +1) { // the bucket exists only with an exemplar
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

// components returns the numbers of a metric: the value; or count, sum and cumulative
// buckets.
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

// less reports whether a series was reset. A sum goes down without a reset, with
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

// shown returns a metric with the base of its series added, and with the start timestamp
// of the first metric of the series.
func shown(m *dto.Metric, s *monotoneSeries) *dto.Metric {
	base := s.base
	if s.native.base == nil && proto.Equal(mirror.Created(m), s.created) && !slices.ContainsFunc(base, func(v float64) bool { return v != 0 }) {
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
