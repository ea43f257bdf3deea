package instrument

import (
	"fmt"
	"math"
	"sort"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Histogram implements prometheus.Histogram with classic buckets.
type Histogram struct {
	Series
	bounds []float64 // of the family, finite
	group  group

	exemplars exemplars

	base []uint64 // the zero of Write, as Load loads it; nil: zero. Written before the first update
}

var (
	_ Single                      = (*Histogram)(nil)
	_ prometheus.ExemplarObserver = (*Histogram)(nil)
)

// HistogramFamily makes the definition of a histogram with classic buckets.
// HistogramFamily panics for options that break a rule.
func HistogramFamily(o prometheus.HistogramOpts, labels prometheus.ConstrainableLabels) *Family {
	name := prometheus.BuildFQName(o.Namespace, o.Subsystem, o.Name)
	bounds := o.Buckets
	if len(bounds) == 0 {
		bounds = prometheus.DefBuckets
	}
	if last := len(bounds) - 1; math.IsInf(bounds[last], +1) {
		bounds = bounds[:last] // the bucket of +Inf is implied
	}
	if len(bounds) > layout.MaxBuckets {
		panic(fmt.Errorf("mpmetrics: histogram %q: %d buckets, at most %d are supported", name, len(bounds), layout.MaxBuckets))
	}
	return NewFamily(layout.Family{
		Type: layout.Histogram, Name: o.Name, Help: o.Help, Unit: o.Unit,
		Bounds: append([]float64(nil), bounds...),
	}, labels, o.Namespace, o.Subsystem, o.ConstLabels)
}

// NewHistogram makes a series of the family, which does not count yet.
func (f *Family) NewHistogram(values ...string) *Histogram {
	h := &Histogram{bounds: f.Def.Bounds}
	h.begin(h, f, values)
	return h
}

// linearBounds is the number of bounds up to which a look at each bound is faster
// than a binary search.
const linearBounds = 32

// Observe implements prometheus.Observer.
func (h *Histogram) Observe(v float64) {
	bucket := bucketOf(h.bounds, v)
	if !h.group.lock() {
		h.group.rebind(&h.Series)
	}
	h.group.observe(v, bucket)
	h.group.mu.Unlock()
}

// ObserveWithExemplar implements prometheus.ExemplarObserver.
func (h *Histogram) ObserveWithExemplar(v float64, labels prometheus.Labels) {
	e := newExemplar(v, labels)
	h.Observe(v)
	h.exemplars.set(h, bucketOf(h.bounds, v), len(h.bounds)+1, e)
}

func (h *Histogram) own() *exemplars { return &h.exemplars }

func (h *Histogram) bound(slot int) float64 {
	if slot < len(h.bounds) {
		return h.bounds[slot]
	}
	return math.Inf(+1)
}

// bucketOf returns the index of the first bound that is not below v, and the index
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
func (h *Histogram) Collect(ch chan<- prometheus.Metric) { ch <- h }

// Write implements prometheus.Metric.
func (h *Histogram) Write(out *dto.Metric) error {
	h.group.mu.Lock()
	defer h.group.mu.Unlock()
	count, sum := h.group.current()
	if h.base != nil {
		count, sum = count-h.base[0], sum-math.Float64frombits(h.base[1])
	}
	buckets := make([]*dto.Bucket, len(h.bounds))
	var cumulative uint64
	for i, bound := range h.bounds {
		if h.group.words != nil {
			cumulative += h.group.words[layout.BucketWord+i]
		}
		if h.base != nil {
			cumulative -= h.base[2+i]
		}
		buckets[i] = &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(cumulative), Exemplar: h.exemplars.get(i)}
	}
	if e := h.exemplars.get(len(h.bounds)); e != nil {
		// The bucket of +Inf is implied, except for its exemplar.
		buckets = append(buckets, &dto.Bucket{UpperBound: new(math.Inf(+1)), CumulativeCount: new(count), Exemplar: e})
	}
	out.Label = h.LabelPairs()
	out.Histogram = &dto.Histogram{
		SampleCount: &count, SampleSum: &sum, Bucket: buckets, CreatedTimestamp: h.startTimestamp(),
	}
	return nil
}

// Keep implements Instrument.
func (h *Histogram) Keep() { h.group.keep(h.Family.Def.CellWords()) }

// Use implements Instrument.
func (h *Histogram) Use(cells []atomic.Uint64) { h.group.use(cells) }

// Load implements Instrument.
func (h *Histogram) Load(out []uint64) { h.group.load(out) }

// Leave implements Instrument.
func (h *Histogram) Leave() { h.Keep() }

// Mend implements Instrument. A histogram whose buckets do not add up to its count starts
// again at zero: the run of many buckets may lie across the end of a file that was cut.
func (h *Histogram) Mend() (empty bool) {
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
