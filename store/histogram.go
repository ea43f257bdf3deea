package store

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

func makeHistogram(s *Store, o prometheus.HistogramOpts) prometheus.Histogram {
	if isNative(o) {
		return makeNativeHistogram(s, o)
	}
	f := instrument.HistogramFamily(o, nil)
	return define(s, f, f.NewHistogram())
}

func makeHistogramVec(s *Store, o prometheus.HistogramOpts, labels prometheus.ConstrainableLabels) *prometheus.HistogramVec {
	if isNative(o) {
		return makeNativeHistogramVec(s, o, labels)
	}
	f := instrument.HistogramFamily(o, labels)
	return defineVec(s, f, func(values ...string) instrument.Instrument { return f.NewHistogram(values...) }, asHistogramVec)
}

// NewHistogram makes a histogram of this store. The histogram needs no registration. NewHistogram
// panics if the definition is invalid or a duplicate.
//
// In a scrape, count, sum and buckets are of one instant. An observation survives SIGKILL from the
// return of Observe on. The histogram is a [prometheus.ExemplarObserver].
//
// With NativeHistogramBucketFactor above 1 the histogram is a native histogram with the options of
// client_golang, and has classic buckets too if Buckets are set. Native histograms are on the heap,
// and every [Opts].FlushInterval the background work writes the native histograms into the file:
// SIGKILL loses the observations since the last write. Native histograms of several processes are
// merged to the lowest resolution and the widest zero bucket. All native histograms of one name and
// process may take 1 MiB, 300 bytes for a histogram of 100 buckets. Native histograms beyond the
// limit are dropped, and count in mpmetrics_unmirrored_total.
func (s *Store) NewHistogram(o prometheus.HistogramOpts) prometheus.Histogram {
	return makeHistogram(s, o)
}

// NewHistogramVec makes a vec of histograms of this store; see [Store.NewHistogram]. A deleted
// series leaves the merged output, as the section Deletion of the package comment describes.
func (s *Store) NewHistogramVec(o prometheus.HistogramOpts, labelNames []string) *prometheus.HistogramVec {
	return makeHistogramVec(s, o, prometheus.UnconstrainedLabels(labelNames))
}

// NewHistogram makes a histogram of the default store; see [Store.NewHistogram].
func NewHistogram(o prometheus.HistogramOpts) prometheus.Histogram { return makeHistogram(nil, o) }

// NewHistogramVec makes a vec of histograms of the default store; see [Store.NewHistogramVec].
func NewHistogramVec(o prometheus.HistogramOpts, labelNames []string) *prometheus.HistogramVec {
	return makeHistogramVec(nil, o, prometheus.UnconstrainedLabels(labelNames))
}
