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
	"reflect"
	"slices"
	"strconv"
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
	removed  []removed       // the last unregistered collectors, oldest first
	told     map[string]bool // reasons and families in the log

	fresh fresh
}

// New makes a mirror without any collector.
func New(c Config) *Mirror {
	return &Mirror{Config: c, registry: prometheus.NewRegistry(), monotone: monotone{}, told: map[string]bool{}}
}

// Add mirrors a collector from the next flush on.
func (m *Mirror) Add(c prometheus.Collector) error {
	descs := Describe(c)
	g := &guard{collector: c, id: Identity(descs), names: namesOf(descs)}
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

// mostRemoved bounds the removed collectors that a Mirror remembers.
const mostRemoved = 64

// removed is an unregistered collector, with the series that the collector showed.
type removed struct {
	collector prometheus.Collector
	series    []*monotoneSeries
}

// Remove takes a last look at a collector, and forgets the collector: its counts stay, its gauges
// leave with the next flush. The registry of the store knows the collector by its descriptors.
func (m *Mirror) Remove(c prometheus.Collector) {
	m.flushing.Lock()
	defer m.flushing.Unlock()
	id := Identity(Describe(c))
	m.mu.Lock()
	i := slices.IndexFunc(m.guards, func(g *guard) bool { return g.id == id })
	var g *guard
	if i >= 0 {
		g = m.guards[i]
		m.guards = slices.Delete(m.guards, i, i+1)
	}
	m.mu.Unlock()
	m.registry.Unregister(c)
	if g == nil {
		return
	}
	at := time.Now()
	lookAt([]*guard{g}, collectorPatience)
	alone := prometheus.NewRegistry()
	if alone.Register(g) != nil {
		return // the registry of the mirror has accepted the collector, so this one does too
	}
	families, _ := alone.Gather() // the flush before has reported an error
	m.refuse(families)
	r := removed{collector: g.collector}
	for _, f := range families {
		r.series = append(r.series, m.monotone.note(f, at)...)
	}
	for _, s := range r.series {
		s.ended = true
	}
	m.removed = append(m.removed, r)
	m.removed = m.removed[max(0, len(m.removed)-mostRemoved):]
}

// resume takes the mark of an unregistered collector off the series of collectors that were
// registered again: the very same collector goes on with its counts, and another collector of
// the same names starts at zero. The caller holds flushing.
func (m *Mirror) resume(guards []*guard) {
	m.removed = slices.DeleteFunc(m.removed, func(r removed) bool {
		if !reflect.TypeOf(r.collector).Comparable() {
			return false
		}
		again := slices.ContainsFunc(guards, func(g *guard) bool { return g.collector == r.collector })
		if again {
			for _, s := range r.series {
				s.ended = false
			}
		}
		return again
	})
}

// Identity is equal for the descriptors of two collectors only if a registry takes both for the
// same collector. A wrapped collector is another object each time.
func Identity(descs []*prometheus.Desc) string {
	all := make([]string, 0, len(descs))
	for _, d := range descs {
		all = append(all, d.String())
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// namesOf returns the names of the families of a collector, for an error: at most a few names,
// and a word for a collector that describes nothing.
func namesOf(descs []*prometheus.Desc) string {
	const most = 3
	var names []string
	for _, d := range descs {
		if name := nameOf(d); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch n := len(names); {
	case n == 0:
		return "a collector without descriptors"
	case n > most:
		return fmt.Sprintf("the collector of %s and %d other families", strings.Join(names[:most], ", "), n-most)
	}
	return "the collector of " + strings.Join(names, ", ")
}

// nameOf returns the name of the family of a descriptor. client_golang shows the name in the text
// of the descriptor only.
func nameOf(d *prometheus.Desc) string {
	quoted, err := strconv.QuotedPrefix(strings.TrimPrefix(d.String(), "Desc{fqName: "))
	if err != nil {
		return d.String()
	}
	name, err := strconv.Unquote(quoted)
	if err != nil {
		return d.String()
	}
	return name
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
	m.resume(guards)
	at := time.Now()
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
			m.lookFailed("panic", g, err)
		case err != nil:
			m.lookFailed("error", g, err)
		}
	}
	families, err := m.registry.Gather()
	if err != nil {
		m.leftOut("error", "", err, 1)
	}
	m.refuse(families)
	m.monotone.forget(m.fresh.take(families))
	all := m.monotone.keep(families, own, at)
	for name, n := range m.monotone.takeResets() {
		m.Host.Reset(name, n)
	}
	return m.encodeAll(all)
}

// refuse drops cumulative metrics whose values no counting can have: the total of all processes
// would go down by a negative value. The last value of the series stays. NaN and infinite values
// pass, as client_golang passes them. The caller holds flushing.
func (m *Mirror) refuse(families []*dto.MetricFamily) {
	for _, f := range families {
		f.Metric = slices.DeleteFunc(f.Metric, func(metric *dto.Metric) bool {
			err := impossible(metric)
			if err != nil {
				m.leftOut("value", f.GetName(), fmt.Errorf("series {%s}: %w", labelText(metric.Label), err), 1)
			}
			return err != nil
		})
	}
}

// impossible returns why no counting can have the values of a metric, nil for possible values.
func impossible(m *dto.Metric) error {
	if v := m.GetCounter().GetValue(); v < 0 {
		return fmt.Errorf("a counter has the value %v", v)
	}
	before := uint64(0)
	for _, b := range m.GetHistogram().GetBucket() {
		n := b.GetCumulativeCount()
		if n < before || n > m.Histogram.GetSampleCount() && m.Histogram.GetSampleCountFloat() == 0 {
			return fmt.Errorf("a histogram of %d observations has %d up to %v, and %d below", m.Histogram.GetSampleCount(), n, b.GetUpperBound(), before)
		}
		before = n
	}
	return nil
}

// labelText writes labels as an exposition does.
func labelText(labels []*dto.LabelPair) string {
	var b strings.Builder
	for i, l := range labels {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s=%q", l.GetName(), l.GetValue())
	}
	return b.String()
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

// leftOut counts unmirrored samples, and logs a line once for each family. A family is counted
// once, too.
func (m *Mirror) leftOut(reason, family string, err error, n int) {
	key := reason + "\xff" + family
	if m.told[key] && family != "" {
		return
	}
	m.logOnce(key, reason, family, err)
	m.Host.Unmirrored(reason, n)
}

// lookFailed counts each look at a collector that failed, and logs a line once for each
// collector, with the names of its families.
func (m *Mirror) lookFailed(reason string, g *guard, err error) {
	m.logOnce(reason+"\xff"+g.id, reason, "", fmt.Errorf("%s: %w", g.names, err))
	m.Host.Unmirrored(reason, 1)
}

func (m *Mirror) logOnce(key, reason, family string, err error) {
	if m.told[key] {
		return
	}
	m.told[key] = true
	level := slog.LevelWarn
	if reason == reasonQuantiles {
		level = slog.LevelDebug
	}
	go m.Logger.Log(context.Background(), level, "mpmetrics: metrics are not mirrored", "reason", reason, "family", family, "err", err)
}
