package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.etcd.io/bbolt"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// quantiles is the one reason for which what is left out is nobody's mistake.
const quantiles = "quantiles"

// collectorPatience is how long a flush waits for the collectors. What is slower
// is shown as it was before.
const collectorPatience = 500 * time.Millisecond

// maxMirrorBytes bounds what one process mirrors, families and exemplars apart: well
// below what a reader takes, since beyond that it would take nothing of the file.
const maxMirrorBytes = 4 << 20

// maxKeyBytes is what bbolt takes as a key.
const maxKeyBytes = bbolt.MaxKeySize

// mirrorer finds out what the collectors of a Registerer show, and gives to the backend
// what of it has changed.
type mirrorer struct {
	store    *Store
	registry *prometheus.Registry // of the guards

	exemplars exemplarList // of our own instruments

	mu     sync.Mutex // guards what follows
	guards []*guard
	own    map[string]bool // families of our own native histograms; replaced, never changed

	// flushing serializes flushes. No collector runs in a goroutine that holds it:
	// one that asks for a flush itself waits for no longer than flushes wait for it.
	// In a process that was forked another one takes its place: who holds it may be a
	// goroutine that goes on there, or one that never will. It guards what follows.
	flushing  atomic.Pointer[sync.Mutex]
	staged    mirrored // what the backend was given, in all; never changed, but replaced
	inherited bool     // the next gathering is of a process that was just forked
	carried   carried
	fresh     newSeries
	told      map[string]bool        // reasons and families that the log knows
	total     *prometheus.CounterVec // nil until something was left out
}

func newMirrorer(s *Store) *mirrorer {
	m := &mirrorer{store: s, registry: prometheus.NewRegistry(), carried: carried{}, told: map[string]bool{}}
	m.flushing.Store(new(sync.Mutex))
	return m
}

func (m *mirrorer) add(c prometheus.Collector) error {
	g := &guard{collector: c, id: identity(c)}
	if err := m.registry.Register(g); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.guards = append(m.guards, g)
	return nil
}

// addOwn adds a native histogram of ours, or a vec of them, whose name the store's
// registry has accepted.
func (m *mirrorer) addOwn(f *family) {
	if err := m.add(f.collector); err != nil {
		panic(fmt.Errorf("mpmetrics: bug: %w", err)) // the store's registry knows all that this one does
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.own = maps.Clone(m.own)
	if m.own == nil {
		m.own = map[string]bool{}
	}
	m.own[f.def.Name] = true
}

// used reports whether there is anything to mirror.
func (m *mirrorer) used() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.guards) > 0
}

// remove forgets a collector, which the store's registry knows by what it
// describes.
func (m *mirrorer) remove(c prometheus.Collector) {
	m.registry.Unregister(c)
	id := identity(c)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.guards = slices.DeleteFunc(m.guards, func(g *guard) bool { return g.id == id })
}

// identity is what two collectors have in common only when a registry takes them
// for the same: a wrapped one is another object each time.
func identity(c prometheus.Collector) string {
	var all []string
	for _, d := range describe(c) {
		all = append(all, d.String())
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// flush gathers, and returns when others see it.
func (m *mirrorer) flush() error {
	flushing := m.flushing.Load()
	flushing.Lock()
	defer flushing.Unlock()
	b := m.store.backend
	if !b.ready() {
		return nil
	}
	now := m.gather()
	if m.flushing.Load() != flushing {
		return nil // it has become the parent's
	}
	changed := mirrored{difference(m.staged.families, now.families), difference(m.staged.exemplars, now.exemplars)}
	if m.staged = now; !changed.empty() {
		b.stage(changed)
	}
	return b.flush()
}

// gather returns what others are to see. flushing is held.
func (m *mirrorer) gather() mirrored {
	m.mu.Lock()
	guards, own := slices.Clone(m.guards), m.own
	m.mu.Unlock()
	if slow := wait(guards, collectorPatience); slow > 0 {
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
	m.carried.forget(m.fresh.take(families))
	families = m.carried.carry(families, m.inherited, own)
	m.inherited = false
	return m.encodeAll(families)
}

// forked begins anew in a process that was forked: a thread that the child does not
// have may hold the locks.
func (m *mirrorer) forked() {
	m.flushing.Store(new(sync.Mutex))
	m.mu, m.fresh.mu, m.exemplars.mu = sync.Mutex{}, sync.Mutex{}, sync.Mutex{}
	for _, g := range m.guards {
		g.mu, g.running, g.last = sync.Mutex{}, nil, nil
	}
	// What the collectors say first in this process is the parent's.
	m.carried, m.inherited = carried{}, true
	m.staged = mirrored{}
}

// encodeAll returns what others are to see: the families, and the exemplars of them and
// of our own instruments.
func (m *mirrorer) encodeAll(all []*dto.MetricFamily) mirrored {
	families, exemplars := map[string][]byte{}, map[string][]mirror.Exemplar{}
	m.exemplars.collect(m.store.backend.shows, exemplars)
	// Without what was staged of a cumulative family its total would dip. So it stays
	// where there is nothing better, and nobody else gets its room.
	total, reserved := 0, 0
	for _, f := range all {
		if cumulative(f) {
			reserved += len(m.staged.families[f.GetName()])
		}
	}
	for _, f := range all {
		name := f.GetName()
		var before []byte
		if cumulative(f) {
			before = m.staged.families[name]
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
		ofMirrored(f, exemplars)
	}
	encoded := make(map[string][]byte, len(exemplars))
	total = 0
	for _, name := range slices.Sorted(maps.Keys(exemplars)) {
		all := exemplars[name]
		value, err := mirror.EncodeExemplars(name, all)
		if err == nil && !bytes.Equal(m.staged.exemplars[name], value) {
			_, err = mirror.DecodeExemplars(value)
		}
		if err != nil {
			m.leftOut("exemplars", name, err, 1)
			continue
		}
		if total += len(value); total > maxMirrorBytes {
			break // some are enough
		}
		encoded[name] = value
	}
	return mirrored{families, encoded}
}

// valid returns what is staged of a family, nil if no reader would take it or it
// is not mirrored.
func (m *mirrorer) valid(f *dto.MetricFamily) []byte {
	name := f.GetName()
	value := m.encode(f)
	if value == nil || bytes.Equal(m.staged.families[name], value) {
		return value
	}
	if _, err := mirror.Decode(name, value); err != nil {
		m.leftOut("invalid", name, err, 1)
		return nil
	}
	return value
}

// difference is what has to be written so that one becomes the other.
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

// encode returns what is staged of a family, nil for nothing.
func (m *mirrorer) encode(f *dto.MetricFamily) []byte {
	name := f.GetName()
	mode, omit := m.store.opts.modeOf(name)
	if omit {
		return nil
	}
	switch f.GetType() {
	case dto.MetricType_GAUGE, dto.MetricType_UNTYPED:
		if mode == 0 {
			mode = defaultMode(name)
		}
	case dto.MetricType_COUNTER:
	default:
		if mode != 0 {
			m.leftOut("mode", name, fmt.Errorf("a %v cannot be merged by %v", f.GetType(), mode), 1)
			mode = 0
		}
	}
	if strings.HasPrefix(name, layout.ReservedPrefix) {
		m.leftOut("name", name, errors.New("names that begin so belong to mpmetrics itself"), 1)
		return nil
	}
	all := m.plain(f)
	value, err := mirror.Encode(all, mode)
	if err == nil && len(value) > layout.MaxMirrorBytes {
		part := m.trim(all)
		n := len(all.Metric) - len(part.Metric)
		m.leftOut("limit", name, fmt.Errorf("%d of %d series find no room in %d bytes", n, len(all.Metric), layout.MaxMirrorBytes), n)
		value, err = mirror.Encode(part, mode)
	}
	if err != nil {
		m.leftOut("invalid", name, err, 1)
		return nil
	}
	if len(name) > maxKeyBytes {
		m.leftOut("invalid", fmt.Sprintf("%.100s", name), fmt.Errorf("a name of %d bytes, at most %d", len(name), maxKeyBytes), 1)
		return nil
	}
	return value
}

// plain is a family without what is not mirrored.
func (m *mirrorer) plain(f *dto.MetricFamily) *dto.MetricFamily {
	out := &dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit}
	for _, metric := range f.Metric {
		p := &dto.Metric{Label: metric.Label, Gauge: metric.Gauge, Untyped: metric.Untyped}
		if c := metric.Counter; c != nil {
			p.Counter = &dto.Counter{Value: c.Value, CreatedTimestamp: c.CreatedTimestamp}
		}
		if s := metric.Summary; s != nil {
			if len(s.Quantile) > 0 {
				m.leftOut(quantiles, f.GetName(), errors.New("quantiles of several processes do not merge; sum and count do"), 1)
			}
			p.Summary = &dto.Summary{SampleCount: s.SampleCount, SampleSum: s.SampleSum, CreatedTimestamp: s.CreatedTimestamp}
		}
		if h := metric.Histogram; h != nil {
			if mirror.IsFloat(h) {
				m.leftOut("float", f.GetName(), errors.New("a histogram whose counts are not whole comes from computing, not from observing"), 1)
				continue
			}
			p.Histogram = &dto.Histogram{
				SampleCount: h.SampleCount, SampleSum: h.SampleSum, CreatedTimestamp: h.CreatedTimestamp,
				Schema: h.Schema, ZeroThreshold: h.ZeroThreshold, ZeroCount: h.ZeroCount,
				PositiveSpan: h.PositiveSpan, PositiveDelta: h.PositiveDelta, NegativeSpan: h.NegativeSpan, NegativeDelta: h.NegativeDelta,
			}
			for _, b := range h.Bucket {
				p.Histogram.Bucket = append(p.Histogram.Bucket, &dto.Bucket{UpperBound: b.UpperBound, CumulativeCount: b.CumulativeCount})
			}
		}
		out.Metric = append(out.Metric, p)
	}
	return out
}

// leftOut counts what could not be mirrored, and says so once for each family.
func (m *mirrorer) leftOut(reason, family string, err error, n int) {
	key := reason + "\xff" + family
	if m.told[key] && family != "" {
		return // counted once, too
	}
	if !m.told[key] {
		m.told[key] = true
		level := slog.LevelWarn
		if reason == quantiles {
			level = slog.LevelDebug // the Go collector of every process has some
		}
		go m.store.opts.Logger.Log(context.Background(), level, "mpmetrics: not all can be mirrored", "reason", reason, "family", family, "err", err)
	}
	if m.total == nil {
		f := makeFamily(layout.Family{
			Type: layout.Counter, Name: layout.ReservedPrefix + "unmirrored_total",
			Help: "What collectors that are not ours show and is not mirrored, by reason.",
		}, prometheus.UnconstrainedLabels{"reason"}, nil)
		f.unlimited = true
		m.total = &prometheus.CounterVec{MetricVec: defineVec(m.store, f, func(values ...string) instrument { return f.newCounter(values...) })}
	}
	m.total.WithLabelValues(reason).Add(float64(n))
}

// Omit in Opts.Modes leaves a family out of the mirror.
const Omit GaugeMode = 255

func checkModes(modes map[string]GaugeMode) error {
	for pattern, given := range modes {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("mode for %q: %w", pattern, err)
		}
		if m := layout.Mode(given); given != Omit && (!m.Valid() || m.Timed()) {
			return fmt.Errorf("mode for %q: %v is not possible for what is mirrored", pattern, m)
		}
	}
	return nil
}

// modeOf returns the mode that is configured for a family, 0 for none.
func (o Opts) modeOf(name string) (mode layout.Mode, omit bool) {
	best := ""
	for pattern := range o.Modes {
		if ok, _ := path.Match(pattern, name); !ok {
			continue
		}
		// The longest one is the most exact, and the name itself more so.
		if best == "" || pattern == name || best != name && (len(pattern) > len(best) || len(pattern) == len(best) && pattern < best) {
			best = pattern
		}
	}
	if best == "" {
		return 0, false
	}
	given := o.Modes[best]
	return layout.Mode(given), given == Omit
}
