package foreign

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Gathered returns a collector of everything that a registry has. The collector describes
// nothing: the content of the registry may change.
func Gathered(g prometheus.Gatherer) prometheus.Collector { return &gathered{gatherer: g} }

type gathered struct{ gatherer prometheus.Gatherer }

// Describe implements prometheus.Collector.
func (g *gathered) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (g *gathered) Collect(ch chan<- prometheus.Metric) {
	families, err := g.gatherer.Gather()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
	}
	for _, f := range families {
		if f.GetType() == dto.MetricType_GAUGE_HISTOGRAM {
			// A metric does not tell its type: a registry would take a gauge histogram
			// for a histogram that only grows.
			err := fmt.Errorf("family %q: gauge histograms are not mirrored", f.GetName())
			ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
			continue
		}
		descs := map[string]*prometheus.Desc{}
		for _, m := range f.GetMetric() {
			names := make([]string, len(m.GetLabel()))
			for i, l := range m.GetLabel() {
				names[i] = l.GetName()
			}
			key := strings.Join(names, "\xff")
			if descs[key] == nil {
				descs[key] = prometheus.V2.NewDesc(f.GetName(), f.GetHelp(), prometheus.UnconstrainedLabels(names), nil, prometheus.WithUnit(f.GetUnit()))
			}
			ch <- asMetric(descs[key], m)
		}
	}
}

func asMetric(d *prometheus.Desc, m *dto.Metric) prometheus.Metric {
	s := &static{desc: d}
	s.metric.Label, s.metric.TimestampMs = m.Label, m.TimestampMs
	s.metric.Counter, s.metric.Gauge, s.metric.Untyped, s.metric.Summary, s.metric.Histogram = m.Counter, m.Gauge, m.Untyped, m.Summary, m.Histogram
	return s
}
