package inspect

import (
	"math"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// Sample is one line of an exposition.
type Sample struct {
	Name       string
	Labels     []layout.Label
	Value      float64
	Cumulative bool // the value only grows, except for a Sum
	Sum        bool // the sum of a histogram or summary: observations below zero make the sum fall
}

// Suffixes of the samples of a histogram or summary.
const (
	countSuffix = "_count"
	sumSuffix   = "_sum"
)

// Samples are the lines of a family, in the order of an exposition.
func Samples(f *dto.MetricFamily) []Sample {
	var all []Sample
	for _, m := range f.GetMetric() {
		labels := make([]layout.Label, 0, len(m.GetLabel())+1)
		for _, l := range m.GetLabel() {
			labels = append(labels, layout.Label{Name: l.GetName(), Value: l.GetValue()})
		}
		add := func(suffix string, v float64, cumulative bool, more ...layout.Label) {
			own := append(labels[:len(labels):len(labels)], more...)
			all = append(all, Sample{Name: f.GetName() + suffix, Labels: own, Value: v, Cumulative: cumulative})
		}
		addSum := func(v float64) {
			all = append(all, Sample{Name: f.GetName() + sumSuffix, Labels: labels, Value: v, Cumulative: true, Sum: true})
		}
		switch {
		case m.Counter != nil:
			add("", m.Counter.GetValue(), true)
		case m.Histogram != nil:
			h := m.Histogram
			inf := false
			for _, b := range h.GetBucket() {
				inf = inf || math.IsInf(b.GetUpperBound(), +1)
				add("_bucket", float64(b.GetCumulativeCount()), true, layout.Label{Name: "le", Value: FormatNumber(b.GetUpperBound())})
			}
			if !inf {
				add("_bucket", float64(h.GetSampleCount()), true, layout.Label{Name: "le", Value: "+Inf"})
			}
			addSum(h.GetSampleSum())
			add(countSuffix, float64(h.GetSampleCount()), true)
		case m.Summary != nil:
			for _, q := range m.Summary.GetQuantile() {
				add("", q.GetValue(), false, layout.Label{Name: "quantile", Value: FormatNumber(q.GetQuantile())})
			}
			addSum(m.Summary.GetSampleSum())
			add(countSuffix, float64(m.Summary.GetSampleCount()), true)
		default:
			add("", Number(m), false)
		}
	}
	return all
}

// Number is the value of a counter, a gauge or an untyped metric.
func Number(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	}
	return m.Untyped.GetValue()
}

// NativeOf returns the native buckets of a histogram, nil if the histogram has no native buckets.
func NativeOf(h *dto.Histogram) *layout.Native {
	if !mirror.IsNative(h) {
		return nil
	}
	n, err := mirror.DecodeNative(h)
	if err != nil {
		return nil // the buckets come from this package
	}
	return n
}

// Created is the start timestamp of a metric, zero without one.
func Created(m *dto.Metric) time.Time {
	if t := mirror.Created(m); t.IsValid() {
		return t.AsTime()
	}
	return time.Time{}
}

// TypeText is the type of a family in lower case, as in an exposition.
func TypeText(f *dto.MetricFamily) string { return strings.ToLower(f.GetType().String()) }
