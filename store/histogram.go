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
