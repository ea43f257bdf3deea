package store

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Native histograms make buckets where observations are, and join them when there
// are too many. There is no place in a file for that which an observation would
// find without a lock that others can hold, so they are client_golang's own, on the
// heap, and mirrored as collectors of others are: the last Opts.FlushInterval is
// lost at SIGKILL.

// isNative reports whether options ask for native buckets.
func isNative(o prometheus.HistogramOpts) bool { return o.NativeHistogramBucketFactor > 1 }

// nativeFamily is the definition of a native histogram. Its classic buckets are
// checked when the first histogram is made.
func nativeFamily(o prometheus.HistogramOpts, labels prometheus.ConstrainableLabels) *family {
	f := newFamily(layout.Family{Type: layout.NativeHistogram, Name: o.Name, Help: o.Help, Unit: o.Unit}, labels, o.Namespace, o.Subsystem, o.ConstLabels)
	f.mirrored = true
	return f
}

func makeNativeHistogram(s *Store, o prometheus.HistogramOpts) prometheus.Histogram {
	f := nativeFamily(o, nil)
	h := prometheus.NewHistogram(o)
	f.collector = h
	bindTo(s, f)
	if s != nil {
		return h
	}
	return lateNative{h, h.(prometheus.ExemplarObserver), f}
}

// makeNativeHistogramVec makes a vec whose histograms client_golang's own vec makes:
// one for each, since a vec gives the same histogram for the same label values, also
// when ours has deleted it.
func makeNativeHistogramVec(s *Store, o prometheus.HistogramOpts, labels prometheus.ConstrainableLabels) *prometheus.HistogramVec {
	f := nativeFamily(o, labels)
	vec := prometheus.NewMetricVec(f.desc, func(values ...string) prometheus.Metric {
		f.bound().mirror.begin(f, values)
		return prometheus.NewHistogramVec(o, f.def.LabelNames).WithLabelValues(values...).(prometheus.Metric)
	})
	// What is wrong with the options is said now, not at the first With.
	_ = prometheus.NewHistogramVec(o, f.def.LabelNames).WithLabelValues(make([]string, len(f.def.LabelNames))...)
	f.collector = vec
	bindTo(s, f)
	return &prometheus.HistogramVec{MetricVec: vec}
}

// lateNative is a native histogram of package level without labels: an observation
// binds the default store, or nobody would mirror it.
type lateNative struct {
	prometheus.Histogram
	exemplars prometheus.ExemplarObserver
	family    *family
}

func (h lateNative) Observe(v float64) {
	h.family.bound()
	h.Histogram.Observe(v)
}

// ObserveWithExemplar implements prometheus.ExemplarObserver.
func (h lateNative) ObserveWithExemplar(v float64, labels prometheus.Labels) {
	h.family.bound()
	h.exemplars.ObserveWithExemplar(v, labels)
}

// newSeries are the series of our own native histograms that began since the last
// flush. One that was deleted and made again is not one that began anew by itself:
// it does not go on from what was shown.
type newSeries struct {
	mu    sync.Mutex // never held over anything else
	all   []newOne
	ended bool // the store is closed: nobody will take any
}

type newOne struct {
	family, key string // key as that of a carriedSeries begins
	time        time.Time
}

// begin notes that a series is about to be made.
func (m *mirrorer) begin(f *family, values []string) {
	if !m.store.backend.shared() {
		return
	}
	one := newOne{f.def.Name, labelsKey(prometheus.MakeLabelPairs(f.desc, values)), time.Now()}
	m.fresh.mu.Lock()
	defer m.fresh.mu.Unlock()
	if !m.fresh.ended {
		m.fresh.all = append(m.fresh.all, one)
	}
}

// end forgets all, and what comes.
func (n *newSeries) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all, n.ended = nil, true
}

// take returns those that are among the series that were gathered, as one may tell by
// their start timestamps. The others are kept for the next time.
func (n *newSeries) take(families []*dto.MetricFamily) []newOne {
	n.mu.Lock()
	all := n.all
	n.all = nil
	n.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	began := map[[2]string]time.Time{}
	for _, f := range families {
		for _, m := range f.Metric {
			if h := m.GetHistogram(); h != nil {
				began[[2]string{f.GetName(), labelsKey(m.Label)}] = h.GetCreatedTimestamp().AsTime()
			}
		}
	}
	var there, later []newOne
	for _, one := range all {
		if t, ok := began[[2]string{one.family, one.key}]; ok && !t.Before(one.time) {
			there = append(there, one)
		} else if ok || time.Since(one.time) < time.Minute {
			later = append(later, one)
		}
	}
	n.mu.Lock()
	n.all = append(later, n.all...)
	n.mu.Unlock()
	return there
}
