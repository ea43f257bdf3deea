package collector

import (
	"cmp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// gatherer is local and merged families as one.
type gatherer struct {
	local     prometheus.Gatherer
	collector *Collector
	registry  *prometheus.Registry // of collector alone
}

// Gatherer returns a Gatherer of a local registry, usually
// prometheus.DefaultGatherer, and of what a collector with o merges. It is for
// registries that hold collectors of the process itself, such as the Go
// collector, whose families other processes may publish too: where a name is
// in both, the merged family is shown and the local one is left out and counted
// in mpmetrics_conflicts_total{reason="overlap"}. Do not register a collector in
// the local registry as well.
func Gatherer(local prometheus.Gatherer, o Opts) prometheus.Gatherer {
	g := &gatherer{local: local, collector: New(o), registry: prometheus.NewRegistry()}
	g.registry.MustRegister(g.collector)
	return g
}

// Gather implements prometheus.Gatherer. An error of the local registry is
// passed on with what could be gathered.
func (g *gatherer) Gather() ([]*dto.MetricFamily, error) {
	merged, err := g.registry.Gather()
	if err != nil {
		return nil, err
	}
	local, err := g.local.Gather()
	taken := map[string]bool{}
	for _, f := range merged {
		for _, name := range exposedNames(f) {
			taken[name] = true
		}
	}
	for _, f := range local {
		if slices.ContainsFunc(exposedNames(f), func(name string) bool { return taken[name] }) {
			g.collector.overlap(f.GetName())
			continue
		}
		merged = append(merged, f)
	}
	slices.SortFunc(merged, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return merged, err
}

// exposedNames are the names of a family's samples.
func exposedNames(f *dto.MetricFamily) []string {
	t := layout.Counter // or any other with one sample
	switch f.GetType() {
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		t = layout.Histogram
	case dto.MetricType_SUMMARY:
		t = layout.Summary
	}
	return merge.SampleNames(f.GetName(), t)
}

// overlap counts a local family that is left out, once.
func (c *Collector) overlap(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !strings.HasPrefix(name, layout.ReservedPrefix) && !c.totals.overlaps[name] {
		c.totals.overlaps[name] = true
		c.totals.conflicts[overlap]++
		c.log.Warn("mpmetrics: local family is left out, the merged one has its name", "family", name)
	}
}
