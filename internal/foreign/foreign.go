// Package foreign mirrors the families of foreign collectors, in other words of all collectors
// except the instruments of mpmetrics. Package foreign gathers the collectors, keeps cumulative
// values from going down, and gives the changes to the place of the store.
package foreign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
	"github.com/mpmetrics/mpmetrics/internal/place"
)

// reasonQuantiles is expected in every process, because the Go collector has a summary. So the log
// level is debug.
const reasonQuantiles = "quantiles"

// collectorPatience is how long a flush waits for the collectors. A slower collector shows its last
// metrics.
const collectorPatience = 500 * time.Millisecond

// maxMirrorBytes bounds the mirror of one process, families and exemplars apart: well
// below the limit of a reader, which would refuse the whole file beyond its limit.
const maxMirrorBytes = 4 << 20

// Host is the store of a Mirror.
type Host interface {
	// Mode returns the mode by which a family is merged, 0 for the rule of its type, and
	// whether the user configured the mode. omit leaves the family out of the mirror.
	Mode(f *dto.MetricFamily) (mode layout.Mode, configured, omit bool)
	// Unmirrored counts dropped samples and families.
	Unmirrored(reason string, n int)
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
	registry *prometheus.Registry // of the guards

	mu     sync.Mutex // guards the fields below
	guards []*guard
	own    map[string]bool // families of native histograms of mpmetrics; replaced, never changed

	// flushing serializes flushes, and guards the fields below. No collector runs in a
	// goroutine that holds flushing: a collector that asks for a flush itself waits no
	// longer than flushes wait for the collector.
	flushing sync.Mutex
	staged   place.Mirrored // the staged content; replaced, never changed
	monotone monotone
	told     map[string]bool // reasons and families in the log

	fresh fresh
}

// New makes a mirror without any collector.
func New(c Config) *Mirror {
	return &Mirror{Config: c, registry: prometheus.NewRegistry(), monotone: monotone{}, told: map[string]bool{}}
}

// Add mirrors a collector from the next flush on.
func (m *Mirror) Add(c prometheus.Collector) error {
	g := &guard{collector: c, id: identity(c)}
	if err := m.registry.Register(g); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.guards = append(m.guards, g)
	return nil
}

// AddOwn mirrors a native histogram of mpmetrics, or a vec of native histograms, whose
// name the registry of the store has accepted.
func (m *Mirror) AddOwn(f *instrument.Family) {
	if err := m.Add(f.Collector); err != nil {
		panic(fmt.Errorf("mpmetrics: bug: %w", err)) // the registry of the store knows all collectors of m.registry
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.own = maps.Clone(m.own)
	if m.own == nil {
		m.own = map[string]bool{}
	}
	m.own[f.Def.Name] = true
}

// Used reports whether the mirror has a collector.
func (m *Mirror) Used() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.guards) > 0
}

// Remove forgets a collector. The registry of the store knows the collector by its descriptors.
func (m *Mirror) Remove(c prometheus.Collector) {
	m.registry.Unregister(c)
	id := identity(c)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.guards = slices.DeleteFunc(m.guards, func(g *guard) bool { return g.id == id })
}

// identity is equal for two collectors only if a registry takes both for the same collector.
// A wrapped collector is another object each time.
func identity(c prometheus.Collector) string {
	var all []string
	for _, d := range Describe(c) {
		all = append(all, d.String())
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// Describe returns the descriptors of a collector.
func Describe(c prometheus.Collector) (descs []*prometheus.Desc) {
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		c.Describe(ch)
	}()
	for d := range ch {
		descs = append(descs, d)
	}
	return descs
}

// Flush gathers the collectors. When Flush returns, other processes see the result, and every other
// value of the place.
func (m *Mirror) Flush(ctx context.Context) error {
	m.flushing.Lock()
	defer m.flushing.Unlock()
	if !m.Place.Ready() {
		return nil
	}
	now := m.gather()
	changed := place.Mirrored{Families: difference(m.staged.Families, now.Families), Exemplars: difference(m.staged.Exemplars, now.Exemplars)}
	m.staged = now
	if !changed.Empty() {
		m.Place.Stage(changed)
	}
	return m.Place.Flush(ctx)
}

// Close forgets the state for a flush, because no flush follows.
func (m *Mirror) Close() { m.fresh.end() }

// gather returns the content for readers. The caller holds flushing.
func (m *Mirror) gather() place.Mirrored {
	m.mu.Lock()
	guards, own := slices.Clone(m.guards), m.own
	m.mu.Unlock()
	if slow := lookAt(guards, collectorPatience); slow > 0 {
		m.leftOut("slow", "", fmt.Errorf("%d collectors took more than %v", slow, collectorPatience), slow)
	}
	for _, g := range guards {
		g.mu.Lock()
		err := g.failed
		g.mu.Unlock()
		var panicked errPanicked
		switch {
		case errors.As(err, &panicked):
			m.leftOut("panic", "", err, 1)
		case err != nil:
			m.leftOut("error", "", err, 1)
		}
	}
	families, err := m.registry.Gather()
	if err != nil {
		m.leftOut("error", "", err, 1)
	}
	m.monotone.forget(m.fresh.take(families))
	return m.encodeAll(m.monotone.keep(families, own))
}

// encodeAll returns the content for readers: the families, the exemplars of the families, and the
// exemplars of own instruments.
func (m *Mirror) encodeAll(all []*dto.MetricFamily) place.Mirrored {
	families, exemplars := map[string][]byte{}, map[string][]mirror.Exemplar{}
	for _, e := range m.Catalog.Exemplars().All(m.Place.Shows) {
		name := e.Series.Family.Def.Name
		exemplars[name] = append(exemplars[name], mirror.Exemplar{Labels: labelsOf(e.Series.LabelPairs()), Bound: e.Bound, Exemplar: e.Exemplar})
	}
	// Without a value the total of a cumulative family would dip. So the staged value stays until
	// there is a newer value, and no other family gets the room.
	total, reserved := 0, 0
	for _, f := range all {
		if cumulative(f) {
			reserved += len(m.staged.Families[f.GetName()])
		}
	}
	for _, f := range all {
		name := f.GetName()
		var before []byte
		if cumulative(f) {
			before = m.staged.Families[name]
		}
		reserved -= len(before)
		value := m.valid(f)
		if value != nil && total+len(value)+reserved > maxMirrorBytes {
			m.leftOut("limit", name, fmt.Errorf("all families have more than %d bytes", maxMirrorBytes), 1)
			value = nil
		}
		if value == nil {
			value = before
		}
		if value == nil {
			continue
		}
		total += len(value)
		families[name] = value
		exemplarsOf(f, exemplars)
	}
	return place.Mirrored{Families: families, Exemplars: m.encodeExemplars(exemplars)}
}

func (m *Mirror) encodeExemplars(exemplars map[string][]mirror.Exemplar) map[string][]byte {
	encoded := make(map[string][]byte, len(exemplars))
	total := 0
	for _, name := range slices.Sorted(maps.Keys(exemplars)) {
		value, err := mirror.EncodeExemplars(name, exemplars[name])
		if err == nil && !bytes.Equal(m.staged.Exemplars[name], value) {
			_, err = mirror.DecodeExemplars(value)
		}
		if err != nil {
			m.leftOut("exemplars", name, err, 1)
			continue
		}
		if total += len(value); total > maxMirrorBytes {
			break // some exemplars are enough
		}
		encoded[name] = value
	}
	return encoded
}

// exemplarsOf adds the exemplars of a foreign family.
func exemplarsOf(f *dto.MetricFamily, byName map[string][]mirror.Exemplar) {
	for _, m := range f.Metric {
		add := func(bound float64, native bool, e *dto.Exemplar) {
			if e != nil {
				byName[f.GetName()] = append(byName[f.GetName()], mirror.Exemplar{Labels: labelsOf(m.Label), Bound: bound, Native: native, Exemplar: e})
			}
		}
		add(math.NaN(), false, m.GetCounter().GetExemplar())
		for _, b := range m.GetHistogram().GetBucket() {
			add(b.GetUpperBound(), false, b.GetExemplar())
		}
		for _, e := range m.GetHistogram().GetExemplars() {
			add(math.NaN(), true, e)
		}
	}
}

func labelsOf(pairs []*dto.LabelPair) []layout.Label {
	labels := make([]layout.Label, len(pairs))
	for i, l := range pairs {
		labels[i] = layout.Label{Name: l.GetName(), Value: l.GetValue()}
	}
	return labels
}

// difference returns the change from one content to another.
func difference(from, to map[string][]byte) map[string][]byte {
	changed := map[string][]byte{}
	for name, value := range to {
		if !bytes.Equal(from[name], value) {
			changed[name] = value
		}
	}
	for name := range from {
		if _, there := to[name]; !there {
			changed[name] = nil
		}
	}
	return changed
}

// leftOut counts unmirrored samples, and logs a line once for each family.
func (m *Mirror) leftOut(reason, family string, err error, n int) {
	key := reason + "\xff" + family
	if m.told[key] && family != "" {
		return // counted once, too
	}
	if !m.told[key] {
		m.told[key] = true
		level := slog.LevelWarn
		if reason == reasonQuantiles {
			level = slog.LevelDebug
		}
		go m.Logger.Log(context.Background(), level, "mpmetrics: metrics are not mirrored", "reason", reason, "family", family, "err", err)
	}
	m.Host.Unmirrored(reason, n)
}
