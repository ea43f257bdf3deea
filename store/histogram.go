package store

import (
	"fmt"
	"math"
	"sort"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// histogram implements prometheus.Histogram with classic buckets.
type histogram struct {
	series
	bounds []float64 // of the family, finite
	group  group

	exemplars exemplars
}

var _ prometheus.ExemplarObserver = (*histogram)(nil)

// ObserveWithExemplar implements prometheus.ExemplarObserver.
func (h *histogram) ObserveWithExemplar(v float64, labels prometheus.Labels) {
	e := newExemplar(v, labels)
	h.Observe(v)
	h.exemplars.set(h, bucketOf(h.bounds, v), len(h.bounds)+1, e)
}

func (h *histogram) own() *exemplars { return &h.exemplars }

func (h *histogram) bound(slot int) float64 {
	if slot < len(h.bounds) {
		return h.bounds[slot]
	}
	return math.Inf(+1)
}

// linearBounds is the number of bounds up to which looking at each is faster
// than a binary search.
const linearBounds = 32

func (h *histogram) Observe(v float64) {
	bucket := bucketOf(h.bounds, v)
	h.group.lock()
	h.group.observe(v, bucket)
	h.group.mu.Unlock()
}

// bucketOf returns the index of the first bound that is not below v, and that
// of +Inf if there is none or v is NaN.
func bucketOf(bounds []float64, v float64) int {
	if len(bounds) <= linearBounds {
		for i, bound := range bounds {
			if v <= bound {
				return i
			}
		}
		return len(bounds)
	}
	return sort.SearchFloat64s(bounds, v)
}

// Collect implements prometheus.Collector.
func (h *histogram) Collect(ch chan<- prometheus.Metric) { ch <- h }

// Write implements prometheus.Metric.
func (h *histogram) Write(out *dto.Metric) error {
	h.group.mu.Lock()
	defer h.group.mu.Unlock()
	count, sum := h.group.current()
	buckets := make([]*dto.Bucket, len(h.bounds))
	var cumulative uint64
	for i, bound := range h.bounds {
		if h.group.words != nil {
			cumulative += h.group.words[layout.BucketWord+i]
		}
		buckets[i] = &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(cumulative), Exemplar: h.exemplars.get(i)}
	}
	if e := h.exemplars.get(len(h.bounds)); e != nil {
		// The bucket of +Inf is implied, but for its exemplar.
		buckets = append(buckets, &dto.Bucket{UpperBound: new(math.Inf(+1)), CumulativeCount: new(count), Exemplar: e})
	}
	out.Label = h.labelPairs()
	out.Histogram = &dto.Histogram{
		SampleCount: &count, SampleSum: &sum, Bucket: buckets, CreatedTimestamp: h.startTimestamp(),
	}
	return nil
}

func (h *histogram) keep()                     { h.group.keep(h.family.def.CellWords()) }
func (h *histogram) use(cells []atomic.Uint64) { h.group.use(cells) }
func (h *histogram) load(out []uint64)         { h.group.load(out) }
func (h *histogram) leave()                    { h.keep() }
func (h *histogram) forsake()                  { h.group.forsake() }

// mend begins anew when some of the buckets are not what the count says. A run
// of many buckets may lie across the end of what is left of a file.
func (h *histogram) mend() (anew bool) {
	h.group.mu.Lock()
	defer h.group.mu.Unlock()
	count, _ := h.group.current()
	var total uint64
	for _, n := range h.group.words[layout.BucketWord:] {
		total += n
	}
	if total != count {
		clear(h.group.words)
		count = 0
	}
	return count == 0
}

func (f *family) newHistogram(values ...string) *histogram {
	h := &histogram{bounds: f.def.Bounds}
	h.begin(f, values)
	return h
}

func histogramFamily(o prometheus.HistogramOpts, labels prometheus.ConstrainableLabels) *family {
	name := prometheus.BuildFQName(o.Namespace, o.Subsystem, o.Name)
	bounds := o.Buckets
	if len(bounds) == 0 {
		bounds = prometheus.DefBuckets
	}
	if last := len(bounds) - 1; math.IsInf(bounds[last], +1) {
		bounds = bounds[:last] // it is implied
	}
	if len(bounds) > layout.MaxBuckets {
		panic(fmt.Errorf("mpmetrics: histogram %q: %d buckets, at most %d are supported", name, len(bounds), layout.MaxBuckets))
	}
	return newFamily(layout.Family{
		Type: layout.Histogram, Name: o.Name, Help: o.Help, Unit: o.Unit,
		Bounds: append([]float64(nil), bounds...),
	}, labels, o.Namespace, o.Subsystem, o.ConstLabels)
}

func makeHistogram(s *Store, o prometheus.HistogramOpts) prometheus.Histogram {
	if isNative(o) {
		return makeNativeHistogram(s, o)
	}
	f := histogramFamily(o, nil)
	return define(s, f, f.newHistogram())
}

func makeHistogramVec(s *Store, o prometheus.HistogramOpts, labels prometheus.ConstrainableLabels) *prometheus.HistogramVec {
	if isNative(o) {
		return makeNativeHistogramVec(s, o, labels)
	}
	f := histogramFamily(o, labels)
	return &prometheus.HistogramVec{MetricVec: defineVec(s, f, func(values ...string) instrument { return f.newHistogram(values...) })}
}

// NewHistogram makes a histogram of this store. It needs no registration. It
// panics when the definition is invalid or a duplicate.
//
// Count, sum and buckets of a scrape are of one instant, and an observation
// survives SIGKILL from the moment Observe returns. It is a
// prometheus.ExemplarObserver.
//
// With NativeHistogramBucketFactor above 1 it is a native histogram, with the
// options of client_golang, and with classic buckets too if there are some. These
// are kept on the heap and written into the file every Opts.FlushInterval: what was
// observed in the last one is lost at SIGKILL. Those of several processes are merged
// to the lowest resolution and the widest zero bucket among them. All of a name that one
// process has may take 1 MiB, 300 bytes for one of 100 buckets: what is beyond is left out,
// and counts in mpmetrics_unmirrored_total.
func (s *Store) NewHistogram(o prometheus.HistogramOpts) prometheus.Histogram {
	return makeHistogram(s, o)
}

// NewHistogramVec makes a vec of histograms of this store; see NewHistogram. What is
// deleted from it leaves the merged output; the package comment says the rest.
func (s *Store) NewHistogramVec(o prometheus.HistogramOpts, labelNames []string) *prometheus.HistogramVec {
	return makeHistogramVec(s, o, prometheus.UnconstrainedLabels(labelNames))
}

// NewHistogram makes a histogram of the default store; see Store.NewHistogram.
func NewHistogram(o prometheus.HistogramOpts) prometheus.Histogram { return makeHistogram(nil, o) }

// NewHistogramVec makes a vec of histograms of the default store; see Store.NewHistogram.
func NewHistogramVec(o prometheus.HistogramOpts, labelNames []string) *prometheus.HistogramVec {
	return makeHistogramVec(nil, o, prometheus.UnconstrainedLabels(labelNames))
}
