package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

// The default store binds late: constructors of package level run before main,
// where the environment may still change. Until the store is needed, their definitions
// wait.
var (
	defaultStore atomic.Pointer[Store]

	defaultMu sync.Mutex
	// unbound are the families that wait for the default store, and unboundCollectors the
	// collectors of [Registerer]; guarded by defaultMu. Their registry finds duplicates at
	// once, as promauto would.
	unbound           []*instrument.Family
	unboundCollectors []lateCollector
	unboundRegistry   = prometheus.NewRegistry()
)

// Default returns the default store. The first call opens the store at $MPMETRICS_URL or
// $MPMETRICS_DIR. Default never fails, and does not wait for a server: when the directory
// or the server cannot be used, the metrics are counted in memory, one line goes to the
// log, mpmetrics_degraded shows the reason, and the metrics are published as soon as the
// location can be used.
func Default() *Store {
	if s := defaultStore.Load(); s != nil {
		return s
	}
	s, why := openDefault()
	if why != nil {
		s.logFallback(why)
	}
	return s
}

// defaultOnUse is Default for the first update or With. A goroutine of its own logs: the
// caller may hold the lock of a vec, or the lock of a log handler that counts its lines
// with this very metric.
func defaultOnUse() *Store {
	if s := defaultStore.Load(); s != nil {
		return s
	}
	s, why := openDefault()
	if why != nil {
		go s.logFallback(why)
	}
	return s
}

func (s *Store) logFallback(why error) {
	if !s.place.Shared() {
		s.opts.Logger.Error("mpmetrics: counting in memory, the location cannot be used", "err", why)
		return
	}
	s.opts.Logger.Error("mpmetrics: counting in memory until the location can be used", s.place.Where(), "err", why)
}

func openDefault() (*Store, error) {
	s, waiting, why := openAndBind()
	s.registerLate(waiting)
	return s, why
}

// openAndBind returns the collectors that have waited for the store, too.
func openAndBind() (s *Store, waiting []lateCollector, why error) {
	defaultMu.Lock()
	defer defaultMu.Unlock()
	if s := defaultStore.Load(); s != nil {
		return s, nil, nil
	}
	outside(func() { s, why = openAtLocation() })
	return s, bindAll(s), why
}

// openAtLocation opens a store at $MPMETRICS_URL or $MPMETRICS_DIR. The store counts in memory after
// an error.
func openAtLocation() (s *Store, why error) {
	s, why = prepare(Opts{})
	switch {
	case why != nil:
	case s.place.Distant():
		// Neither an update waits for a server, nor a goroutine that waits for the lock of
		// the same vec.
		go func() {
			if err := s.place.Open(context.Background()); err != nil {
				s.logFallback(err)
			}
		}()
	default:
		why = s.place.Open(context.Background())
	}
	s.maintain()
	return s, why
}

// SetDefault makes s the default store. Call SetDefault at the beginning of main: before
// the first update of a metric of package level, the first With, the first call of
// [Default], and the first collector without a Store. Later SetDefault returns an error.
func SetDefault(s *Store) error {
	if s == nil {
		return errors.New("set default store: nil")
	}
	waiting, err := s.becomeDefault()
	if err != nil {
		return fmt.Errorf("set default store: %w", err)
	}
	s.registerLate(waiting)
	return nil
}

func (s *Store) becomeDefault() (waiting []lateCollector, err error) {
	defaultMu.Lock()
	defer defaultMu.Unlock()
	if defaultStore.Load() != nil {
		return nil, errors.New("metrics use another store already; call SetDefault at the beginning of main")
	}
	for _, late := range unboundCollectors {
		if err := s.tryRegister(late.Collector); err != nil {
			return nil, err
		}
	}
	for _, f := range unbound {
		if err := s.tryRegister(f.Collector); err != nil {
			return nil, err
		}
	}
	return bindAll(s), nil
}

// tryRegister returns why the store cannot take a collector, because bindAll would panic after some
// families.
func (s *Store) tryRegister(c prometheus.Collector) error {
	if err := s.registry.Register(c); err != nil {
		return err
	}
	s.registry.Unregister(c)
	return nil
}

// bindAll runs under defaultMu, and returns the collectors that have waited for the default store.
func bindAll(s *Store) (waiting []lateCollector) {
	for _, f := range unbound {
		s.bind(f)
	}
	waiting = unboundCollectors
	unbound, unboundCollectors, unboundRegistry = nil, nil, nil
	defaultStore.Store(s)
	return waiting
}

// bindLate lets a family wait for the default store, or binds the family if the store is
// there already.
func bindLate(f *instrument.Family) {
	defaultMu.Lock()
	defer defaultMu.Unlock()
	if s := defaultStore.Load(); s != nil {
		s.bind(f)
		return
	}
	unboundRegistry.MustRegister(f.Collector)
	unbound = append(unbound, f)
}
