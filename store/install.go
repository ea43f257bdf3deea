package store

import (
	"errors"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/foreign"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/marker"
)

// InstallAsDefault puts the default store between client_golang's default registry
// and the libraries that register with it, for those that cannot be told
// otherwise. What is in the default registry already, metrics of package level and
// the Go and process collectors among it, and what is registered with
// prometheus.DefaultRegisterer from now on, is mirrored as by Registerer. In the place of
// prometheus.DefaultGatherer comes a registry for a collector of package collector,
// and prometheus.MustRegister puts it there:
//
//	store.InstallAsDefault()
//	prometheus.MustRegister(collector.New(collector.Opts{}))
//	http.Handle("/metrics", promhttp.Handler())
//
// Call it at the beginning of main, before a handler is made: promhttp.Handler
// takes the registry that is the default when it is called, and one that was made
// before goes on to show this process alone. It panics when a collector of mpmetrics
// is in the default registry already. With no directory configured it does nothing.
func InstallAsDefault() { Default().installAsDefault() }

func (s *Store) installAsDefault() {
	if !s.place.Shared() {
		return
	}
	// An error is of somebody else's collector, and of the first flush too.
	families, _ := prometheus.DefaultGatherer.Gather()
	if slices.ContainsFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == layout.ReservedPrefix+"up" }) {
		panic(errors.New("mpmetrics: InstallAsDefault comes too late: a collector of mpmetrics is in the default registry, and would show its own output again"))
	}
	old := foreign.Gathered(prometheus.DefaultGatherer)
	fresh := prometheus.NewRegistry()
	s.Registerer().MustRegister(old)
	prometheus.DefaultRegisterer = &installed{old: prometheus.DefaultRegisterer, ours: fresh, others: s.Registerer()}
	prometheus.DefaultGatherer = fresh
}

// installed is a Registerer that takes collectors of ours apart from others.
type installed struct {
	old    prometheus.Registerer // knows what was there before
	ours   prometheus.Registerer
	others prometheus.Registerer
}

// Register implements prometheus.Registerer.
func (r *installed) Register(c prometheus.Collector) error {
	if marker.Ours(func() { foreign.Describe(c) }) {
		return r.ours.Register(c)
	}
	// A name that is in the old registry is taken, and who asks for it gets the
	// collector that is there.
	// One that describes nothing could not be taken out again.
	if len(foreign.Describe(c)) > 0 {
		if err := r.old.Register(c); err != nil {
			return err
		}
		r.old.Unregister(c)
	}
	return r.others.Register(c)
}

// MustRegister implements prometheus.Registerer.
func (r *installed) MustRegister(all ...prometheus.Collector) { mustRegister(r, all) }

// Unregister implements prometheus.Registerer.
func (r *installed) Unregister(c prometheus.Collector) bool {
	return r.others.Unregister(c) || r.ours.Unregister(c) || r.old.Unregister(c)
}
