package store

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// A native histogram makes buckets for its observations, and joins buckets beyond a limit. In a
// file, an observation would need a lock to find its bucket, and another process could hold the
// lock. So native histograms are histograms of client_golang, on the heap, and are mirrored like
// foreign collectors: SIGKILL loses the last Opts.FlushInterval.

// isNative reports whether options ask for native buckets.
func isNative(o prometheus.HistogramOpts) bool { return o.NativeHistogramBucketFactor > 1 }

// nativeFamily returns the definition of a native histogram. client_golang checks the classic
// buckets when the first histogram is made.
func nativeFamily(o prometheus.HistogramOpts, labels prometheus.ConstrainableLabels) *instrument.Family {
	f := instrument.NewFamily(layout.Family{Type: layout.NativeHistogram, Name: o.Name, Help: o.Help, Unit: o.Unit}, labels, o.Namespace, o.Subsystem, o.ConstLabels)
	f.Mirrored = true
	return f
}

func makeNativeHistogram(s *Store, o prometheus.HistogramOpts) prometheus.Histogram {
	f := nativeFamily(o, nil)
	h := prometheus.NewHistogram(o)
	f.Collector = h
	bindTo(s, f)
	if s != nil {
		return h
	}
	return lateNative{h, h.(prometheus.ExemplarObserver), f}
}

// makeNativeHistogramVec makes a vec. Each histogram of the vec is made by its own vec of
// client_golang, because a common vec would return the same histogram for the same label values
// even after the vec of mpmetrics has deleted the histogram.
func makeNativeHistogramVec(s *Store, o prometheus.HistogramOpts, labels prometheus.ConstrainableLabels) *prometheus.HistogramVec {
	f := nativeFamily(o, labels)
	vec := asHistogramVec(prometheus.NewMetricVec(f.Desc, func(values ...string) prometheus.Metric {
		orDefault(s) // the first With of a vec of package level binds the default store
		return makeNativeSeries(o, f.Def.LabelNames, values)
	}))
	// Invalid options panic now, and not at the first With.
	_ = prometheus.NewHistogramVec(o, f.Def.LabelNames).WithLabelValues(make([]string, len(f.Def.LabelNames))...)
	f.Collector = vec
	bindTo(s, f)
	return vec
}

// makeNativeSeries makes a histogram of a vec. Values that are not UTF-8 come from a curried vec,
// and only a curried vec of client_golang takes them.
func makeNativeSeries(o prometheus.HistogramOpts, names, values []string) prometheus.Metric {
	curried := prometheus.Labels{}
	for i, name := range names {
		curried[name] = values[i]
	}
	return prometheus.NewHistogramVec(o, names).MustCurryWith(curried).WithLabelValues().(prometheus.Metric)
}

// lateNative is a native histogram of package level without labels. An observation binds the
// default store, otherwise no store would mirror the histogram.
type lateNative struct {
	prometheus.Histogram
	exemplars prometheus.ExemplarObserver
	family    *instrument.Family
}

func (h lateNative) Observe(v float64) {
	h.family.OnUse()
	h.Histogram.Observe(v)
}

// ObserveWithExemplar implements prometheus.ExemplarObserver.
func (h lateNative) ObserveWithExemplar(v float64, labels prometheus.Labels) {
	h.family.OnUse()
	h.exemplars.ObserveWithExemplar(v, labels)
}
