package collector

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// Gatherer implements [prometheus.Gatherer] for a local registry and merged families. Make a
// Gatherer with [NewGatherer].
type Gatherer struct {
	local     prometheus.Gatherer
	collector *Collector
	registry  *prometheus.Registry // has collector alone
}

// NewGatherer makes a [Gatherer] of a local registry, usually [prometheus.DefaultGatherer], and of
// the families of a [Collector] with o. Use a Gatherer if the local registry has collectors of the
// process itself, such as the Go collector, whose families other processes may publish too. For a
// name in both, the Gatherer shows the merged family, leaves the local family out, and counts the
// local family in mpmetrics_conflicts_total{reason="overlap"}. Do not register another Collector in
// the local registry.
func NewGatherer(local prometheus.Gatherer, o Opts) *Gatherer {
	g := &Gatherer{local: local, collector: New(o), registry: prometheus.NewRegistry()}
	g.registry.MustRegister(g.collector)
	return g
}

// Close ends a running absorption, and gives files and mappings back. Later calls of
// [Gatherer.Gather] return the local families alone.
func (g *Gatherer) Close() error { return g.collector.Close() }

// Gather implements [prometheus.Gatherer]. After an error of the local registry, or with
// Opts.CollectorErrors of a foreign collector, Gather returns the error and the gathered families.
func (g *Gatherer) Gather() ([]*dto.MetricFamily, error) {
	merged, mergedErr := g.registry.Gather()
	local, localErr := g.local.Gather()
	taken := map[string]bool{}
	for _, f := range merged {
		for _, name := range exposedNames(f) {
			taken[name] = true
		}
	}
	var overlaps []string
	for _, f := range local {
		if slices.ContainsFunc(exposedNames(f), func(name string) bool { return taken[name] }) {
			overlaps = append(overlaps, f.GetName())
			continue
		}
		merged = append(merged, f)
	}
	g.collector.overlap(overlaps)
	slices.SortFunc(merged, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return merged, errors.Join(mergedErr, localErr)
}

// exposedNames returns the names of a family's samples.
func exposedNames(f *dto.MetricFamily) []string {
	t := layout.Counter // or another type with one sample
	switch f.GetType() {
	case dto.MetricType_HISTOGRAM, dto.MetricType_GAUGE_HISTOGRAM:
		t = layout.Histogram
	case dto.MetricType_SUMMARY:
		t = layout.Summary
	}
	return merge.SampleNames(f.GetName(), t)
}

// overlap counts each local family that is left out once. One line names all families, because the
// Go collector alone has thirty.
func (c *Collector) overlap(names []string) {
	c.mu.Lock()
	fresh := slices.DeleteFunc(names, func(name string) bool {
		known := strings.HasPrefix(name, layout.ReservedPrefix) || c.totals.overlaps[name]
		if !known {
			c.totals.overlaps[name] = true
			c.totals.conflicts[overlap]++
		}
		return known
	})
	c.mu.Unlock()
	if len(fresh) > 0 {
		c.log.Info("mpmetrics: local families are hidden by merged families of the same name", "families", strings.Join(fresh, ","))
	}
}
