package store

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/foreign"
	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/marker"
)

// Registerer returns a [prometheus.Registerer] for foreign collectors: promauto metrics, the
// Go and process collectors, middleware, custom collectors. Their families are mirrored
// into the file of this process every [Opts].FlushInterval, by [Store.Close], and when this
// process is scraped; other processes show the families merged with their own. SIGKILL
// loses at most the last interval, where the instruments of this package lose nothing.
//
// Counters, histograms and summaries are summed up; native histograms in the lowest
// resolution and with the widest zero bucket of all processes. A gauge or an untyped
// family is merged by the mode for its name, like a gauge of [NewGauge]; [Opts].Modes has the
// exceptions. The count and the sum of a summary are mirrored, without quantiles. Dropped families
// and samples count in mpmetrics_unmirrored_total.
//
// A counter of a process never goes down in the output: after a reset, or after the collector is
// unregistered, the counter goes on from the last shown value. A series that its collector deleted
// leaves when no other process has the series; until then the total keeps the deleted part.
//
// Unregister knows the instruments of this package too, with the same rule: their gauges leave, and
// their counts stay and go on when made again.
//
// In memory Registerer returns [prometheus.DefaultRegisterer]: nothing is mirrored, and the default
// registry shows the collectors, and knows no instruments of this package.
func (s *Store) Registerer() prometheus.Registerer {
	if !s.place.Shared() {
		return prometheus.DefaultRegisterer
	}
	return &registerer{s}
}

// CollectorErrors returns the errors and panics of the collectors of [Store.Registerer] at the last
// look, the series with invalid labels, and the conflicts of two collectors that show one series, or
// one family with another type, help or unit, each with the names of the families; nil if there are
// none. The other metrics of such a collector are mirrored. In memory CollectorErrors returns nil:
// the default registry gathers the collectors, and returns their errors.
func (s *Store) CollectorErrors() error { return s.foreign.Failures() }

// registerer implements prometheus.Registerer. The registry of the store knows each collector, and
// the own instruments too, so that a name is used once.
type registerer struct{ store *Store }

// Store returns the store of the Registerer. Package promauto makes instruments of the store.
func (r *registerer) Store() *Store { return r.store }

var errOwn = errors.New("mpmetrics: a collector of mpmetrics in a Registerer of mpmetrics would show its own output again; register the collector with the scraped registry, for instance prometheus.DefaultRegisterer")

// Register implements prometheus.Registerer.
func (r *registerer) Register(c prometheus.Collector) error {
	fork.Notice() // before the registry waits for a goroutine, which may not run
	if marker.Ours(func() { foreign.Describe(c) }) {
		return errOwn
	}
	if err := r.store.registry.Register(c); err != nil {
		return err
	}
	r.store.foreign.Add(c)
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

// Unregister implements prometheus.Registerer. The gauges of the collector leave, and are new when
// made again. The counts of the collector stay, and go on when made again.
func (r *registerer) Unregister(c prometheus.Collector) bool {
	known := r.store.registry.Unregister(c)
	if known {
		r.store.unbind(c)
		r.store.foreign.Remove(c)
	}
	return known
}
