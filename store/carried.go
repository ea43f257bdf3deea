package store

import (
	"math"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
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
	seen       bool
}

// carry returns families with what is carried of them, sorted as they were. It
// changes the metrics of what was gathered. inherited says that they are what the
// parent counted of a process that was just forked: they count from there on.
func (c carried) carry(families []*dto.MetricFamily, inherited bool) []*dto.MetricFamily {
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
		for _, s := range known.series {
			if s.seen {
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

func cumulative(f *dto.MetricFamily) bool {
	switch f.GetType() {
	case dto.MetricType_COUNTER, dto.MetricType_SUMMARY, dto.MetricType_HISTOGRAM:
		return true
	}
	return false
}

// see notes what a collector says of a series, and returns what is shown.
func (f *carriedFamily) see(m *dto.Metric, inherited bool) *dto.Metric {
	// With other buckets it is another series: those of before stay as they were.
	key := labelsKey(m.Label) + boundsKey(m.GetHistogram())
	said := components(m)
	s := f.series[key]
	if s == nil {
		s = &carriedSeries{base: make([]float64, len(said)), created: created(m)}
		f.series[key] = s
		if inherited {
			s.created = timestamppb.Now()
			for i := range s.base {
				s.base[i] = -said[i]
			}
		}
	} else if less(said, s.last) {
		for i := range s.base {
			s.base[i] += s.last[i]
		}
	}
	s.last, s.seen = said, true
	s.metric = shown(m, s)
	return s.metric
}

func created(m *dto.Metric) *timestamppb.Timestamp {
	switch {
	case m.Counter != nil:
		return m.Counter.CreatedTimestamp
	case m.Summary != nil:
		return m.Summary.CreatedTimestamp
	}
	return m.GetHistogram().GetCreatedTimestamp()
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
	if !slices.ContainsFunc(base, func(v float64) bool { return v != 0 }) {
		return m
	}
	out := &dto.Metric{Label: m.Label, TimestampMs: m.TimestampMs}
	plus := func(v float64, i int) *float64 { return new(v + base[i]) }
	count := func(n uint64, i int) *uint64 { return new(uint64(math.Max(0, float64(n)+base[i]))) }
	switch {
	case m.Counter != nil:
		out.Counter = &dto.Counter{Value: plus(m.Counter.GetValue(), 0), CreatedTimestamp: s.created}
	case m.Summary != nil:
		out.Summary = &dto.Summary{
			SampleCount: count(m.Summary.GetSampleCount(), 0), SampleSum: plus(m.Summary.GetSampleSum(), 1), CreatedTimestamp: s.created,
		}
	case m.Histogram != nil:
		h := m.Histogram
		out.Histogram = &dto.Histogram{
			SampleCount: count(h.GetSampleCount(), 0), SampleSum: plus(h.GetSampleSum(), 1), CreatedTimestamp: s.created,
		}
		for i, b := range h.Bucket {
			if math.IsInf(b.GetUpperBound(), +1) {
				continue
			}
			out.Histogram.Bucket = append(out.Histogram.Bucket, &dto.Bucket{
				UpperBound: b.UpperBound, CumulativeCount: count(b.GetCumulativeCount(), 2+i),
			})
		}
	}
	return out
}
