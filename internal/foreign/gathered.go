package foreign

import (
	"fmt"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Gathered returns a collector of everything that a registry has. The collector describes
// nothing: the content of the registry may change.
func Gathered(g prometheus.Gatherer) prometheus.Collector { return &gathered{gatherer: g} }

type gathered struct {
	gatherer prometheus.Gatherer

	mu    sync.Mutex
	descs map[string]*prometheus.Desc // of the last Collect, because a look knows a descriptor by its address
}

// Describe implements prometheus.Collector.
func (g *gathered) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (g *gathered) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	before := g.descs
	g.mu.Unlock()
	descs := map[string]*prometheus.Desc{}
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
		for _, m := range f.GetMetric() {
			names := make([]string, len(m.GetLabel()))
			for i, l := range m.GetLabel() {
				names[i] = l.GetName()
			}
			key := strings.Join(append([]string{f.GetName(), f.GetHelp(), f.GetUnit()}, names...), "\xff")
			if descs[key] == nil {
				descs[key] = before[key]
			}
			if descs[key] == nil {
				descs[key] = prometheus.V2.NewDesc(f.GetName(), f.GetHelp(), prometheus.UnconstrainedLabels(names), nil, prometheus.WithUnit(f.GetUnit()))
			}
			ch <- &static{descs[key], m}
		}
	}
	g.mu.Lock()
	g.descs = descs
	g.mu.Unlock()
}

// static is a metric that was gathered.
type static struct {
	desc   *prometheus.Desc
	metric *dto.Metric
}

// Desc implements prometheus.Metric.
func (w *static) Desc() *prometheus.Desc { return w.desc }

// Write implements prometheus.Metric.
func (w *static) Write(out *dto.Metric) error {
	m := w.metric
	out.Label, out.TimestampMs = m.Label, m.TimestampMs
	out.Counter, out.Gauge, out.Untyped, out.Summary, out.Histogram = m.Counter, m.Gauge, m.Untyped, m.Summary, m.Histogram
	return nil
}
