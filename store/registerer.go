package store

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/foreign"
	"github.com/mpmetrics/mpmetrics/internal/marker"
)

// Registerer returns a prometheus.Registerer for collectors that are not ours:
// promauto metrics, the Go and process collectors, middleware, custom collectors.
// What they show is mirrored into the file of this process every
// Opts.FlushInterval, by Close, and when this process is scraped; other processes
// show it merged with theirs. At SIGKILL at most the last interval is lost, where
// the instruments of this package lose nothing.
//
// Counters, histograms and summaries are summed up, native histograms in the lowest
// resolution and with the widest zero bucket of all. A gauge, and what is
// untyped, is merged by the mode of its name, as those of NewGauge are;
// Opts.Modes has the exceptions. Of summaries sum and count are mirrored, not the
// quantiles.
// What is left out counts in mpmetrics_unmirrored_total.
//
// A counter of a process never goes down in the output: one that is reset, or
// whose collector is unregistered, goes on from what was shown.
//
// In memory it is prometheus.DefaultRegisterer: nothing is
// mirrored, and the default registry shows what is registered.
func (s *Store) Registerer() prometheus.Registerer {
	if !s.place.Shared() {
		return prometheus.DefaultRegisterer
	}
	return &registerer{s}
}

// registerer implements prometheus.Registerer. Two registries know each
// collector: that of the store, where our own instruments are too, so that a name
// is used once; and that of the mirror, which is gathered.
type registerer struct{ store *Store }

var errOurs = errors.New("mpmetrics: a collector of mpmetrics in a Registerer of mpmetrics would show its own output again; register it with the registry that is scraped, for instance prometheus.DefaultRegisterer")

// Register implements prometheus.Registerer.
func (r *registerer) Register(c prometheus.Collector) error {
	if marker.Ours(func() { foreign.Describe(c) }) {
		return errOurs
	}
	if err := r.store.registry.Register(c); err != nil {
		return err
	}
	if err := r.store.foreign.Add(c); err != nil {
		r.store.registry.Unregister(c)
		return err
	}
	return nil
}

// MustRegister implements prometheus.Registerer.
func (r *registerer) MustRegister(all ...prometheus.Collector) { mustRegister(r, all) }

func mustRegister(r prometheus.Registerer, all []prometheus.Collector) {
	for _, c := range all {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

// Unregister implements prometheus.Registerer. What the collector has counted
// stays, its gauges leave.
func (r *registerer) Unregister(c prometheus.Collector) bool {
	known := r.store.registry.Unregister(c)
	if known {
		r.store.foreign.Remove(c)
	}
	return known
}
