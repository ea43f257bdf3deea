package mirror

import (
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// TypeOf returns the type of a family of client_golang. The metrics tell whether a histogram is
// native: TypeOf returns layout.Histogram for both, and for a gauge histogram.
func TypeOf(t dto.MetricType) layout.Type {
	switch t {
	case dto.MetricType_COUNTER:
		return layout.Counter
	case dto.MetricType_GAUGE:
		return layout.Gauge
	case dto.MetricType_SUMMARY:
		return layout.Summary
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		return layout.Histogram
	}
	return layout.Untyped
}
