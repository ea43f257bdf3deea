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
	// unbound are the families that wait for the default store; guarded by
	// defaultMu. Their registry finds duplicates at once, as promauto would.
	unbound         []*instrument.Family
	unboundRegistry = prometheus.NewRegistry()
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
	defaultMu.Lock()
	defer defaultMu.Unlock()
	if s := defaultStore.Load(); s != nil {
		return s, nil
	}
	s, why := prepare(Opts{})
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
	bindAll(s)
	return s, why
}

// SetDefault makes s the default store. Call SetDefault at the beginning of main: before
// the first update of a metric of package level, the first With, the first call of
// [Default], and the first collector without a Store. Later SetDefault returns an error.
func SetDefault(s *Store) error {
	if s == nil {
		return errors.New("set default store: nil")
	}
	defaultMu.Lock()
	defer defaultMu.Unlock()
	if defaultStore.Load() != nil {
		return errors.New("set default store: metrics use another store already; call SetDefault at the beginning of main")
	}
	for _, f := range unbound {
		// A trial: bindAll would panic after some families.
		if err := s.registry.Register(f.Collector); err != nil {
			return fmt.Errorf("set default store: %w", err)
		}
		s.registry.Unregister(f.Collector)
	}
	bindAll(s)
	return nil
}

// bindAll runs under defaultMu.
func bindAll(s *Store) {
	for _, f := range unbound {
		s.bind(f)
	}
	unbound, unboundRegistry = nil, nil
	defaultStore.Store(s)
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
