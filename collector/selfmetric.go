package collector

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// selfMetrics makes the metrics about mpmetrics of one collection. There are some
// seventy of them in each: what client_golang makes anew for each constant metric, and
// checks, is kept from one collection to the next.
type selfMetrics struct {
	pairs map[selfLabel][]*dto.LabelPair
	last  int // metrics of the last collection
}

type selfLabel struct {
	desc  *prometheus.Desc
	value string // of its label, if it has one
}

// selfMetric implements prometheus.Metric. It belongs to the registry, which reads it
// when the next collection may be at work already.
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

// collection returns a function that adds a metric, and one that returns all.
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
