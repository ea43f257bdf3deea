// Package render turns merged series into metrics of client_golang, for collectors and for
// mpmetrics-inspect.
package render

import (
	"math"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// Renderer turns merged series into metrics. A Renderer keeps descriptors, label pairs and start
// timestamps from scrape to scrape. Only one goroutine may use a Renderer at a time.
type Renderer struct {
	hidden func(name string) bool
	descs  map[*merge.Family]*familyDescs
	begun  int64 // time of the last restart of totals: no start timestamp is older
}

type familyDescs struct {
	help, unit string
	byLabels   map[string]*prometheus.Desc // by rendered.names
}

// rendered is the constant part of a series.
type rendered struct {
	labels  []*dto.LabelPair
	names   string // of the labels, and of the const labels with their values, joined
	created int64
	start   *timestamppb.Timestamp
}

// New returns a Renderer without the hidden families.
func New(hidden func(name string) bool) *Renderer {
	return &Renderer{hidden: hidden, descs: map[*merge.Family]*familyDescs{}}
}

// metric implements prometheus.Metric for one scrape.
type metric struct {
	desc      *prometheus.Desc
	labels    []*dto.LabelPair
	counter   *dto.Counter
	gauge     *dto.Gauge
	histogram *dto.Histogram
	summary   *dto.Summary
	untyped   *dto.Untyped
	timestamp *int64 // milliseconds; nil: none
}

// Desc implements prometheus.Metric.
func (m *metric) Desc() *prometheus.Desc { return m.desc }

// Write implements prometheus.Metric.
func (m *metric) Write(out *dto.Metric) error {
	out.Label, out.TimestampMs = m.labels, m.timestamp
	out.Counter, out.Gauge, out.Histogram, out.Summary, out.Untyped = m.counter, m.gauge, m.histogram, m.summary, m.untyped
	return nil
}

// Metrics copies the values out of the merger, because the registry may read the metrics when the
// next scrape is merging already. With cumulative false Metrics returns only gauges. Metrics
// allocates memory for all series of a kind at once. No start timestamp is older than begun.
func (r *Renderer) Metrics(m *merge.Merger, cumulative bool, begun int64) []prometheus.Metric {
	r.begun = begun
	families := m.Families()
	r.prune(families)
	var all block
	for _, f := range families {
		if r.shown(f, cumulative) {
			all.count(f)
		}
	}
	all.allocate()
	for _, f := range families {
		if !r.shown(f, cumulative) {
			continue
		}
		descs := r.family(f)
		for _, s := range f.Series {
			c := r.series(s)
			out := all.metric()
			out.desc, out.labels = descs.of(f, s, c.names), c.labels
			all.value(out, m, f, s, c.start)
		}
		descs.prune(f.Series)
	}
	return all.out
}

// shown reports whether a family is part of a scrape, with or without cumulative families.
func (r *Renderer) shown(f *merge.Family, cumulative bool) bool {
	return (cumulative || !f.Type.Cumulative()) && !r.hidden(f.Name)
}

// prune drops the descriptors of families that no longer exist.
func (r *Renderer) prune(families []*merge.Family) {
	if len(r.descs) <= 2*len(families) {
		return
	}
	kept := make(map[*merge.Family]*familyDescs, len(families))
	for _, f := range families {
		if d := r.descs[f]; d != nil {
			kept[f] = d
		}
	}
	r.descs = kept
}

func (r *Renderer) family(f *merge.Family) *familyDescs {
	d := r.descs[f]
	if d == nil || d.help != f.Help || d.unit != f.Unit {
		d = &familyDescs{help: f.Help, unit: f.Unit, byLabels: map[string]*prometheus.Desc{}}
		r.descs[f] = d
	}
	return d
}

// of returns the descriptor for a set of label names: series of one family may have different
// label names, and a pedantic registry compares descriptors. The descriptor equals the descriptor
// of the owner's vec.
func (d *familyDescs) of(f *merge.Family, s *merge.Series, key string) *prometheus.Desc {
	desc := d.byLabels[key]
	if desc == nil {
		constant := prometheus.Labels{}
		for _, l := range s.Const {
			constant[l.Name] = l.Value
		}
		var names []string
		for _, l := range s.Labels {
			if _, ok := constant[l.Name]; !ok {
				names = append(names, l.Name)
			}
		}
		desc = prometheus.V2.NewDesc(f.Name, f.Help, prometheus.UnconstrainedLabels(names), constant, prometheus.WithUnit(f.Unit))
		d.byLabels[key] = desc
	}
	return desc
}

// prune drops descriptors of series that have left: each value of a const label has its own
// descriptor. All series were rendered.
func (d *familyDescs) prune(series []*merge.Series) {
	if len(d.byLabels) <= 2*len(series) {
		return
	}
	kept := make(map[string]*prometheus.Desc, len(series))
	for _, s := range series {
		names := s.Cache.(*rendered).names
		kept[names] = d.byLabels[names]
	}
	d.byLabels = kept
}

func (r *Renderer) series(s *merge.Series) *rendered {
	c, ok := s.Cache.(*rendered)
	if !ok {
		c = &rendered{labels: make([]*dto.LabelPair, len(s.Labels))}
		names := make([]string, len(s.Labels))
		for i := range s.Labels {
			l := &s.Labels[i]
			c.labels[i] = &dto.LabelPair{Name: &l.Name, Value: &l.Value}
			names[i] = l.Name
		}
		for _, l := range s.Const {
			names = append(names, "", l.Name, l.Value)
		}
		c.names = strings.Join(names, "\xff")
		s.Cache = c
	}
	switch created := max(s.Created, r.begun); {
	case s.Created == 0: // a mirrored series without a start timestamp
		c.created, c.start = 0, nil
	case c.start == nil || c.created != created:
		c.created, c.start = created, timestamppb.New(time.Unix(0, created))
	}
	return c
}

// block is the memory of all metrics of one scrape.
type block struct {
	counters, gauges, histograms, summaries, untyped, buckets int

	out           []prometheus.Metric
	metrics       []metric
	floats        []float64
	integers      []uint64
	counterBlock  []dto.Counter
	gaugeBlock    []dto.Gauge
	histoBlock    []dto.Histogram
	summaryBlock  []dto.Summary
	untypedBlock  []dto.Untyped
	bucketBlock   []dto.Bucket
	bucketPointer []*dto.Bucket
}

func (b *block) count(f *merge.Family) {
	switch n := len(f.Series); f.Type {
	case layout.Counter:
		b.counters += n
	case layout.Gauge:
		b.gauges += n
	case layout.Histogram, layout.NativeHistogram:
		b.histograms += n
		b.buckets += n * len(f.Bounds)
	case layout.Summary:
		b.summaries += n
	case layout.Untyped:
		b.untyped += n
	}
}

func (b *block) allocate() {
	n := b.counters + b.gauges + b.histograms + b.summaries + b.untyped
	b.out = make([]prometheus.Metric, 0, n)
	b.metrics = make([]metric, n)
	b.floats = make([]float64, n)
	b.integers = make([]uint64, b.histograms+b.summaries+b.buckets)
	b.counterBlock = make([]dto.Counter, b.counters)
	b.gaugeBlock = make([]dto.Gauge, b.gauges)
	b.histoBlock = make([]dto.Histogram, b.histograms)
	b.summaryBlock = make([]dto.Summary, b.summaries)
	b.untypedBlock = make([]dto.Untyped, b.untyped)
	b.bucketBlock = make([]dto.Bucket, b.buckets)
	b.bucketPointer = make([]*dto.Bucket, b.buckets)
}

// take cuts the first element off.
func take[T any](s *[]T) *T {
	first := &(*s)[0]
	*s = (*s)[1:]
	return first
}

func (b *block) metric() *metric {
	m := take(&b.metrics)
	b.out = append(b.out, m)
	return m
}

func (b *block) float(v float64) *float64 {
	p := take(&b.floats)
	*p = v
	return p
}

func (b *block) integer(v uint64) *uint64 {
	p := take(&b.integers)
	*p = v
	return p
}

func (b *block) value(out *metric, m *merge.Merger, f *merge.Family, s *merge.Series, start *timestamppb.Timestamp) {
	switch f.Type {
	case layout.Counter:
		out.counter = take(&b.counterBlock)
		v := 0.0
		if f.Mode.Valid() {
			v = s.Gauge()
		} else {
			v = m.Counter(s)
		}
		out.counter.Value, out.counter.CreatedTimestamp = b.float(v), start
		if all := s.Exemplars(); all != nil {
			out.counter.Exemplar = exemplar(all[0])
		}
	case layout.Gauge:
		out.gauge = take(&b.gaugeBlock)
		out.gauge.Value, out.timestamp = b.float(s.Gauge()), stamp(s)
	case layout.Untyped:
		out.untyped = take(&b.untypedBlock)
		out.untyped.Value, out.timestamp = b.float(s.Gauge()), stamp(s)
	case layout.Histogram, layout.NativeHistogram:
		count, sum := s.Observations()
		out.histogram = take(&b.histoBlock)
		out.histogram.SampleCount, out.histogram.SampleSum = b.integer(count), b.float(sum)
		out.histogram.Bucket, out.histogram.CreatedTimestamp = b.cumulative(f, s), start
		if all := s.Exemplars(); all != nil {
			out.histogram.Bucket = withExemplars(out.histogram.Bucket, all, count)
		}
		if n := s.Native(); n != nil {
			mirror.EncodeNative(out.histogram, n)
		}
		for _, e := range s.NativeExemplars() {
			out.histogram.Exemplars = append(out.histogram.Exemplars, exemplar(&e))
		}
	case layout.Summary:
		count, sum := s.Observations()
		out.summary = take(&b.summaryBlock)
		out.summary.SampleCount, out.summary.SampleSum = b.integer(count), b.float(sum)
		out.summary.CreatedTimestamp = start
	}
}

// stamp returns the timestamp of a sample in milliseconds, nil for the time of the scrape.
func stamp(s *merge.Series) *int64 {
	if at, shown := s.Stamp(); shown {
		return new(at / int64(time.Millisecond))
	}
	return nil
}

func exemplar(e *merge.Exemplar) *dto.Exemplar {
	if e == nil {
		return nil
	}
	return e.Ref.(*dto.Exemplar)
}

// withExemplars adds exemplars to their buckets. The bucket of +Inf is implied; withExemplars adds
// the bucket if the bucket has an exemplar.
func withExemplars(buckets []*dto.Bucket, all []*merge.Exemplar, count uint64) []*dto.Bucket {
	last := len(all) - 1
	for i, e := range all[:last] {
		buckets[i].Exemplar = exemplar(e)
	}
	if e := exemplar(all[last]); e != nil {
		buckets = append(buckets, &dto.Bucket{UpperBound: new(math.Inf(+1)), CumulativeCount: &count, Exemplar: e})
	}
	return buckets
}

func (b *block) cumulative(f *merge.Family, s *merge.Series) []*dto.Bucket {
	n := len(f.Bounds)
	buckets := b.bucketPointer[:n:n]
	b.bucketPointer = b.bucketPointer[n:]
	var total uint64
	for i, own := range s.Buckets()[:n] {
		total += own
		buckets[i] = take(&b.bucketBlock)
		buckets[i].UpperBound, buckets[i].CumulativeCount = &f.Bounds[i], b.integer(total)
	}
	return buckets
}
