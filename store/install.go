package store

import (
	"errors"
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/foreign"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/marker"
)

// InstallAsDefault mirrors client_golang's default registry into the default store, for
// libraries that register with the default registry and cannot be told otherwise. The
// collectors in the default registry, metrics of package level and the Go and process
// collectors among them, and the collectors that are registered with
// prometheus.DefaultRegisterer from now on, are mirrored as by [Store.Registerer]. A new
// registry replaces prometheus.DefaultGatherer, for a collector of package collector, and
// prometheus.MustRegister registers the collector there:
//
//	if err := store.InstallAsDefault(); err != nil {
//		return err
//	}
//	defer store.Default().Close() // mirrors the last interval
//	prometheus.MustRegister(collector.New(collector.Opts{}))
//	http.Handle("/metrics", promhttp.Handler())
//
// Call InstallAsDefault at the beginning of main, before a handler is made:
// promhttp.Handler takes the registry that is the default at the time of the call, and an
// earlier handler goes on to show this process alone. InstallAsDefault returns an error,
// and changes nothing, when a collector of mpmetrics is in the default registry already.
// With no directory and no server configured InstallAsDefault does nothing.
func InstallAsDefault() error { return Default().installAsDefault() }

func (s *Store) installAsDefault() error {
	if !s.place.Shared() {
		return nil
	}
	// An error comes from a foreign collector; the first flush reports the error too.
	families, _ := prometheus.DefaultGatherer.Gather()
	if slices.ContainsFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == layout.ReservedPrefix+"up" }) {
		return errors.New("mpmetrics: InstallAsDefault comes too late: a collector of mpmetrics is in the default registry, and would show its own output again; call InstallAsDefault at the beginning of main")
	}
	old := foreign.Gathered(prometheus.DefaultGatherer)
	fresh := prometheus.NewRegistry()
	if err := s.Registerer().Register(old); err != nil {
		return fmt.Errorf("mpmetrics: InstallAsDefault: %w", err)
	}
	prometheus.DefaultRegisterer = &installed{old: prometheus.DefaultRegisterer, own: fresh, foreign: s.Registerer()}
	prometheus.DefaultGatherer = fresh
	return nil
}

// installed is a Registerer that sends own collectors to one registry and foreign collectors
// to another.
type installed struct {
	old     prometheus.Registerer // knows the collectors of before
	own     prometheus.Registerer
	foreign prometheus.Registerer
}

// Register implements prometheus.Registerer.
func (r *installed) Register(c prometheus.Collector) error {
	if marker.Ours(func() { foreign.Describe(c) }) {
		return r.own.Register(c)
	}
	// A name in the old registry is taken: the caller gets the collector that has the name.
	// A collector without descriptors could not be taken out again.
	if len(foreign.Describe(c)) > 0 {
		if err := r.old.Register(c); err != nil {
			return err
		}
		r.old.Unregister(c)
	}
	return r.foreign.Register(c)
}

// MustRegister implements prometheus.Registerer.
func (r *installed) MustRegister(all ...prometheus.Collector) { mustRegister(r, all) }

// Unregister implements prometheus.Registerer.
func (r *installed) Unregister(c prometheus.Collector) bool {
	return r.foreign.Unregister(c) || r.own.Unregister(c) || r.old.Unregister(c)
}
