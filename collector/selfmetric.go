package collector

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// selfMetrics makes the metrics about mpmetrics, some seventy in each collection. selfMetrics keeps
// the label pairs from collection to collection. client_golang's constant metrics would make and
// check the pairs each time.
type selfMetrics struct {
	pairs map[selfLabel][]*dto.LabelPair
	last  int // metrics of the last collection
}

type selfLabel struct {
	desc  *prometheus.Desc
	value string // of the label, if the metric has a label
}

// selfMetric implements prometheus.Metric. The registry reads a selfMetric while the next
// collection may be running, so no selfMetric is used twice.
type selfMetric struct {
	desc    *prometheus.Desc
	labels  []*dto.LabelPair
	counts  bool
	value   float64
	gauge   dto.Gauge
	counter dto.Counter
}

// Desc implements prometheus.Metric.
func (m *selfMetric) Desc() *prometheus.Desc { return m.desc }

// Write implements prometheus.Metric.
func (m *selfMetric) Write(out *dto.Metric) error {
	out.Label = m.labels
	if m.counts {
		m.counter.Value, out.Counter = &m.value, &m.counter
	} else {
		m.gauge.Value, out.Gauge = &m.value, &m.gauge
	}
	return nil
}

// collection returns a function that adds a metric, and a function that returns all metrics.
func (s *selfMetrics) collection() (add func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string), all func() []prometheus.Metric) {
	block := make([]selfMetric, s.last)
	out := make([]prometheus.Metric, 0, s.last)
	add = func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		if len(block) == 0 {
			block = make([]selfMetric, 16)
		}
		m := &block[0]
		block = block[1:]
		m.desc, m.labels, m.counts, m.value = d, s.labels(d, labels), kind == prometheus.CounterValue, v
		out = append(out, m)
	}
	return add, func() []prometheus.Metric {
		s.last = len(out)
		return out
	}
}

func (s *selfMetrics) labels(d *prometheus.Desc, values []string) []*dto.LabelPair {
	if len(values) == 0 {
		return nil
	}
	key := selfLabel{d, values[0]}
	pairs, known := s.pairs[key]
	if !known {
		pairs = prometheus.MakeLabelPairs(d, values)
		s.pairs[key] = pairs
	}
	return pairs
}
