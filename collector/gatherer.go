package collector

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// Gatherer implements [prometheus.Gatherer] for a local registry and merged families. Make a
// Gatherer with [NewGatherer].
type Gatherer struct {
	local     prometheus.Gatherer
	collector *Collector
	registry  *prometheus.Registry // has collector alone

	mu    sync.Mutex
	taken map[string]bool // names of the last complete gathering; nil before; replaced, never changed
}

// NewGatherer makes a [Gatherer] of a local registry, usually [prometheus.DefaultGatherer], and of
// the families of a [Collector] with o. Use a Gatherer if the local registry has collectors of the
// process itself, such as the Go collector, whose families other processes may publish too. For a
// name in both, the Gatherer shows the merged family, leaves the local family out, and counts the
// local family in mpmetrics_conflicts_total{reason="overlap"}. While merged families are left out,
// because some file cannot be read (mpmetrics_up is 0), their names stay taken: the count of one
// process in place of the total would be a dip. Before the first complete gathering the names are
// unknown, and local counters, histograms and summaries are left out. Do not register another
// Collector in the local registry.
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
	names, complete := namesOf(merged), g.complete(merged)
	before := g.names(names, complete)
	var overlaps []string
	for _, f := range local {
		switch {
		case slices.ContainsFunc(exposedNames(f), func(name string) bool { return names[name] || before[name] }):
			overlaps = append(overlaps, f.GetName())
		case before == nil && !complete && cumulative(f):
		default:
			merged = append(merged, f)
		}
	}
	g.collector.overlap(overlaps)
	slices.SortFunc(merged, func(a, b *dto.MetricFamily) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return merged, errors.Join(mergedErr, localErr)
}

const upName = layout.ReservedPrefix + "up"

// complete reports whether no merged family is missing. The families of an unusable location were
// never shown, and a closed collector shows none: nothing is missing then.
func (g *Gatherer) complete(merged []*dto.MetricFamily) bool {
	at, found := slices.BinarySearchFunc(merged, upName, func(f *dto.MetricFamily, name string) int { return cmp.Compare(f.GetName(), name) })
	return !found || g.collector.bad != nil || merged[at].Metric[0].GetGauge().GetValue() == 1
}

// names returns the names of the last complete gathering, nil before the first.
func (g *Gatherer) names(now map[string]bool, complete bool) map[string]bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if complete {
		g.taken = now
	}
	return g.taken
}

// namesOf returns the names of all samples of families.
func namesOf(families []*dto.MetricFamily) map[string]bool {
	names := map[string]bool{}
	for _, f := range families {
		for _, name := range exposedNames(f) {
			names[name] = true
		}
	}
	return names
}

// cumulative reports whether the values of a family never go down.
func cumulative(f *dto.MetricFamily) bool {
	return f.GetType() != dto.MetricType_GAUGE_HISTOGRAM && mirror.TypeOf(f.GetType()).Cumulative()
}

// exposedNames returns the names of a family's samples.
func exposedNames(f *dto.MetricFamily) []string {
	return merge.SampleNames(f.GetName(), mirror.TypeOf(f.GetType()))
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
