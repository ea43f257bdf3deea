package store

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/foreign"
	"github.com/mpmetrics/mpmetrics/internal/marker"
)

// Registerer returns a [prometheus.Registerer] for foreign collectors of the default store; see
// [Store.Registerer]. Registerer does not open the default store: collectors that are registered
// before, for instance at package level, wait for the first use of the default store.
func Registerer() prometheus.Registerer {
	if s := defaultStore.Load(); s != nil {
		return s.Registerer()
	}
	return lateRegisterer{}
}

// lateCollector is a collector that waits for the default store.
type lateCollector struct {
	prometheus.Collector
	id string // identity of the collector
}

// lateRegisterer is the Registerer of the default store, which may not be there yet. Foreign code
// runs without defaultMu: Describe may use the default store.
type lateRegisterer struct{}

// Store returns nil, the default store of package promauto.
func (lateRegisterer) Store() *Store { return nil }

// Register implements prometheus.Registerer.
func (lateRegisterer) Register(c prometheus.Collector) error {
	if marker.Ours(func() { foreign.Describe(c) }) {
		return errOwn
	}
	defaultMu.Lock()
	registry := unboundRegistry
	defaultMu.Unlock()
	if registry == nil {
		return Default().Registerer().Register(c)
	}
	if err := registry.Register(c); err != nil {
		return err
	}
	late := lateCollector{c, foreign.Identity(foreign.Describe(c))}
	defaultMu.Lock()
	waits := defaultStore.Load() == nil
	if waits {
		unboundCollectors = append(unboundCollectors, late)
	}
	defaultMu.Unlock()
	if !waits {
		return Default().Registerer().Register(c)
	}
	return nil
}

// MustRegister implements prometheus.Registerer.
func (r lateRegisterer) MustRegister(all ...prometheus.Collector) { mustRegister(r, all) }

// Unregister implements prometheus.Registerer.
func (lateRegisterer) Unregister(c prometheus.Collector) bool {
	defaultMu.Lock()
	registry := unboundRegistry
	defaultMu.Unlock()
	if registry == nil {
		return Default().Registerer().Unregister(c)
	}
	if !registry.Unregister(c) {
		return false
	}
	id := foreign.Identity(foreign.Describe(c))
	defaultMu.Lock()
	defer defaultMu.Unlock()
	unboundCollectors = slices.DeleteFunc(unboundCollectors, func(waiting lateCollector) bool { return waiting.id == id })
	return true
}

// registerLate registers the collectors that have waited for the store.
func (s *Store) registerLate(waiting []lateCollector) {
	for _, late := range waiting {
		if err := s.Registerer().Register(late.Collector); err != nil {
			s.opts.Logger.Error("mpmetrics: a collector is not registered", "err", err)
		}
	}
}
