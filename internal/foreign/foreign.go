// Package foreign mirrors the families of foreign collectors, in other words of all collectors
// except the instruments of mpmetrics. Package foreign gathers the collectors, keeps cumulative
// values from going down, and gives the changes to the place of the store.
//
// A flush has three steps:
//
//  1. Each collector is looked at (look.go). A look takes the metrics of one collector into the
//     collection of the collector (collection.go).
//  2. The mirror takes the collections into its families (take.go): a series of a family adds up
//     what one collector after the other counted (series.go).
//  3. The mirror encodes the families that changed (family.go), and gives them to the place.
package foreign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/place"
)

// collectorPatience is how long a flush waits for the collectors. A slower collector shows its last
// metrics.
const collectorPatience = 250 * time.Millisecond

// Host is the store of a Mirror.
type Host interface {
	// Mode returns the mode by which a family is merged, 0 for the rule of its type, and
	// whether the user configured the mode. omit leaves the family out of the mirror.
	Mode(f *dto.MetricFamily) (mode layout.Mode, configured, omit bool)
	// Unmirrored counts dropped samples and families.
	Unmirrored(reason string, n int)
	// Reset counts series of a family whose collector went down.
	Reset(family string, n int)
}

// Config is the part of a store that a Mirror needs. All fields are required.
type Config struct {
	Catalog *instrument.Catalog // lists the own instruments with exemplars
	Place   place.Place
	Logger  *slog.Logger
	Host    Host
}

// Mirror gathers foreign collectors, and gives the changes to the place of the store.
type Mirror struct {
	Config
	patience time.Duration // see collectorPatience

	closed atomic.Bool // no look is taken any more

	mu     sync.Mutex // guards guards
	guards []*guard

	// flushing serializes flushes, and guards the fields below. No collector runs in a
	// goroutine that holds flushing: a collector that asks for a flush itself waits no
	// longer than flushes wait for the collector.
	flushing  sync.Mutex
	families  map[string]*family
	byHash    map[uint64]*series
	bytes     int               // of all families
	stale     []*family         // with changes since the last encode
	encoded   map[string][]byte // exemplars of the families
	exemplars map[string][]byte // exemplars as staged, of own instruments too
	removed   []removed         // the last unregistered collectors, oldest first
	told      map[string]bool   // reasons and families in the log
}

// New makes a mirror without any collector.
func New(c Config) *Mirror {
	return &Mirror{Config: c, patience: collectorPatience, families: map[string]*family{}, byHash: map[uint64]*series{}, encoded: map[string][]byte{}, told: map[string]bool{}}
}

// Add mirrors a collector, which the registry of the store has accepted, from the next flush on.
func (m *Mirror) Add(c prometheus.Collector) {
	g := newGuard(c)
	g.collection.closed = &m.closed
	m.mu.Lock()
	defer m.mu.Unlock()
	m.guards = append(m.guards, g)
}

// Used reports whether the mirror has a collector.
func (m *Mirror) Used() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.guards) > 0
}

// mostRemoved bounds the removed collectors that a Mirror remembers.
const mostRemoved = 64

// removed is an unregistered collector, with the series that the collector showed without start
// timestamps: nothing but the collector tells then whether the same collector shows the series again.
type removed struct {
	collector prometheus.Collector
	series    []*series
}

// lastPatience is how long Remove waits for a collector: no later look makes up for the last look.
const lastPatience = 2 * time.Second

// Remove takes a last look at a collector, and forgets the collector: its counts stay, its gauges
// leave with the next flush. The registry of the store knows the collector by its descriptors.
func (m *Mirror) Remove(c prometheus.Collector) {
	g := m.takeOut(Identity(Describe(c)))
	if g == nil {
		return
	}
	g.lookLast(lastPatience) // flushes go on meanwhile
	m.flushing.Lock()
	defer m.flushing.Unlock()
	last := []*guard{g}
	m.resume(last)
	m.take(last)
	stay := slices.DeleteFunc(m.leave(g), func(s *series) bool { return s.began != 0 })
	if len(stay) > 0 && reflect.TypeOf(g.collector).Comparable() {
		m.removed = append(m.removed, removed{g.collector, stay})
		m.removed = m.removed[max(0, len(m.removed)-mostRemoved):]
	}
}

// takeOut takes the guard of a collector out of the guards, after the flush that may look at the
// collector. takeOut returns nil if there is no such collector.
func (m *Mirror) takeOut(id string) *guard {
	m.flushing.Lock()
	defer m.flushing.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.guards, func(g *guard) bool { return g.id == id })
	if i < 0 {
		return nil
	}
	g := m.guards[i]
	m.guards = slices.Delete(m.guards, i, i+1)
	return g
}

// resume lets collectors that were unregistered, and registered again, go on with their series.
// Another collector of the same names starts at zero. The caller holds flushing.
func (m *Mirror) resume(guards []*guard) {
	m.removed = slices.DeleteFunc(m.removed, func(r removed) bool {
		again := slices.ContainsFunc(guards, func(g *guard) bool { return g.collector == r.collector })
		if again {
			for _, s := range r.series {
				if s.state == left {
					s.state = deleted // until the collector shows the series
					s.family.gone += int(s.size)
					s.encode()
					m.noteStale(s.family)
				}
			}
		}
		return again
	})
}

// Flush gathers the collectors. When Flush returns, other processes see the result, and every other
// value of the place.
func (m *Mirror) Flush(ctx context.Context) error {
	return m.flush(ctx, func(*guard) bool { return true })
}

// FlushUnasked is Flush in the background: collectors that may not be complete yet wait for a
// later flush.
func (m *Mirror) FlushUnasked(ctx context.Context) error {
	return m.flush(ctx, (*guard).settled)
}

func (m *Mirror) flush(ctx context.Context, ready func(*guard) bool) error {
	m.flushing.Lock()
	defer m.flushing.Unlock()
	if !m.Place.Ready() {
		return nil
	}
	m.gather(ready)
	if changed := m.encode(); !changed.Empty() {
		m.Place.Stage(changed)
	}
	return m.Place.Flush(ctx)
}

// Close forgets all collectors, because no flush follows.
func (m *Mirror) Close() {
	m.closed.Store(true)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.guards = nil
}

// gather takes the content of the ready collectors into the families. The caller holds flushing.
func (m *Mirror) gather(ready func(*guard) bool) {
	m.mu.Lock()
	guards := slices.Clone(m.guards)
	m.mu.Unlock()
	m.resume(guards)
	guards = slices.DeleteFunc(guards, func(g *guard) bool { return !ready(g) })
	m.take(guards) // looks that ended since the last flush
	if slow := lookAt(guards, m.patience); slow > 0 {
		m.leftOut(reasonSlow, "", fmt.Errorf("%d collectors took more than %v", slow, m.patience), slow)
	}
	m.take(guards)
	for _, g := range guards {
		err := g.outcome()
		switch {
		case errors.As(err, new(errPanicked)):
			m.lookFailed(reasonPanic, g, err)
		case err != nil:
			m.lookFailed(reasonError, g, err)
		}
	}
}
