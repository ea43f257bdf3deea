package store

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/fork"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// family is one definition: what the series of a metric name have in common.
type family struct {
	def       layout.Family
	desc      *prometheus.Desc
	collector prometheus.Collector // the vec, or the one instrument

	// unlimited families do not count against MaxSeries: those about mpmetrics
	// itself.
	unlimited bool

	// mirrored families are collectors of client_golang's: they have no cells.
	mirrored bool

	// single is the instrument of a family without labels, nil for a vec.
	single instrument

	// store is nil until a definition of package level is bound to the default
	// store. Written once, by bind.
	store atomic.Pointer[Store]

	record fileRecord // the file backend's

	living living // of a vec

	// The background work's alone.
	sweeps uint64    // looks at the vec so far
	due    time.Time // when the next one is
}

// instrument is what keeps one series.
type instrument interface {
	prometheus.Metric
	base() *series

	// use moves to these cells of a backend, which no reader sees yet, with
	// everything counted so far.
	use(cells []atomic.Uint64)
	// keep counts on the heap, with nothing counted so far.
	keep()
	// leave moves from cells of a backend to the heap. The cells keep their values.
	leave()
	// forsake counts on the heap, with nothing counted so far: the cells are
	// another process's.
	forsake()
	// load loads the value, as layout.Family.ValueWords describes it, of one instant:
	// what is on its way between cells included, once. It may wait for a moment, and
	// is nothing for where new series wait.
	load(out []uint64)
	// mend puts in order what is left of cells of which some were set to zero. It
	// reports whether nothing is left, so that the series begins anew.
	mend() (anew bool)
}

// drainer is an instrument that can leave increments behind when it moves.
type drainer interface {
	// drain moves late increments over.
	drain()
	// settle does so for the last time.
	settle()
}

// series is what all instruments have: which series they are.
type series struct {
	family  *family
	values  []string     // of the variable labels
	created atomic.Int64 // start timestamp, Unix nanoseconds
	pid     int          // of the process that made it

	// place is the file backend's. It is no pointer: a new series would cost one
	// allocation more.
	place filePlace

	// Guarded by the store's mu, and but for counted for series of vecs.
	hash     uint64      // of values
	index    int         // in living.all
	sameHash *series     // the next one in living.byHash
	born     uint64      // which series of a vec it is, from 1; read by the background work too, behind the lock of the vec
	counted  bool        // against MaxSeries
	gone     atomic.Bool // deleted from its vec; read without mu too

	seen uint64 // last sweep that met it; the background work's alone
}

// begin is the constructor.
func (s *series) begin(f *family, values []string) {
	s.family, s.values, s.pid = f, values, fork.Pid()
	s.created.Store(time.Now().UnixNano())
}

func (s *series) base() *series { return s }

// Desc implements prometheus.Metric.
func (s *series) Desc() *prometheus.Desc { return s.family.desc }

// Describe implements prometheus.Collector.
func (s *series) Describe(ch chan<- *prometheus.Desc) { ch <- s.family.desc }

func (s *series) labelPairs() []*dto.LabelPair {
	return prometheus.MakeLabelPairs(s.family.desc, s.values)
}

func (s *series) startTimestamp() *timestamppb.Timestamp {
	return timestamppb.New(time.Unix(0, s.created.Load()))
}

// newFamily makes the definition of a user's metric. It panics when it breaks a
// rule: those of client_golang, and our own.
func newFamily(def layout.Family, labels prometheus.ConstrainableLabels, namespace, subsystem string, constLabels prometheus.Labels) *family {
	def.Name = prometheus.BuildFQName(namespace, subsystem, def.Name)
	if strings.HasPrefix(def.Name, layout.ReservedPrefix) {
		panic(fmt.Errorf("mpmetrics: metric name %q: names that begin with %q belong to mpmetrics itself", def.Name, layout.ReservedPrefix))
	}
	return makeFamily(def, labels, constLabels)
}

func makeFamily(def layout.Family, labels prometheus.ConstrainableLabels, constLabels prometheus.Labels) *family {
	if labels == nil {
		labels = prometheus.UnconstrainedLabels(nil)
	}
	def.LabelNames = namesOf(labels)
	f := &family{
		desc: prometheus.V2.NewDesc(def.Name, def.Help, labels, constLabels, prometheus.WithUnit(def.Unit)),
	}
	if err := f.desc.Err(); err != nil {
		panic(fmt.Errorf("mpmetrics: %w", err))
	}
	for _, l := range prometheus.MakeLabelPairs(f.desc, make([]string, len(def.LabelNames))) {
		if _, isConst := constLabels[l.GetName()]; isConst {
			def.ConstLabels = append(def.ConstLabels, layout.Label{Name: l.GetName(), Value: l.GetValue()})
		}
	}
	if err := def.Validate(); err != nil {
		// Its errors are about files; nothing is damaged here.
		panic(fmt.Errorf("mpmetrics: %s", strings.TrimSuffix(err.Error(), ": "+layout.ErrDamaged.Error())))
	}
	// What no reader would believe must not be written: it would take the
	// whole file for damaged.
	if n := max(len(def.LabelNames), len(def.ConstLabels)); n > layout.MaxLabels {
		panic(fmt.Errorf("mpmetrics: metric %q: %d labels, at most %d are supported", def.Name, n, layout.MaxLabels))
	}
	if n := len(layout.AppendFamily(nil, 0, &def)) + binary.MaxVarintLen32; n > layout.MaxRecordBytes {
		panic(fmt.Errorf("mpmetrics: metric %q: a definition of %d bytes, at most %d are supported", def.Name, n, layout.MaxRecordBytes))
	}
	f.def = def
	return f
}

// namesOf are the names of variable labels, nil for none: client_golang does not
// tell them, and has these two types.
func namesOf(labels prometheus.ConstrainableLabels) []string {
	switch labels := labels.(type) {
	case prometheus.UnconstrainedLabels:
		return labels
	case prometheus.ConstrainedLabels:
		names := make([]string, len(labels))
		for i, l := range labels {
			names[i] = l.Name
		}
		return names
	}
	return nil
}

// bound returns the store of the family, and binds it to the default store if it
// has none yet.
func (f *family) bound() *Store {
	if s := f.store.Load(); s != nil {
		return s
	}
	return defaultOnUse()
}

// start makes a new instrument of the family count. It runs under the vec's
// write lock, where every With of that vec waits: no system call, no
// transaction, no lock that is held over one.
func (f *family) start(i instrument) {
	s := f.bound()
	if !s.backend.shared() {
		i.keep()
		return
	}
	b := i.base()
	if f.single == nil {
		b.hash = hashOf(b.values)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	earlier := s.replaces(b)
	if s.reserve(b) {
		s.backend.enter(i, earlier)
		return
	}
	i.keep()
	if earlier != nil {
		s.backend.depart(earlier)
	}
}

// replaces notes that a series of a vec is living, and returns the earlier one with
// the same label values that was deleted from the vec, nil without one. mu is held.
func (s *Store) replaces(b *series) (earlier *series) {
	f := b.family
	if f.single != nil {
		return nil
	}
	if earlier = f.living.find(b.hash, b.values); earlier != nil {
		s.markGone(earlier)
	}
	s.born++
	b.born = s.born
	f.living.add(b)
	return earlier
}

// bind makes the store the one that the family counts into. It panics for a
// duplicate, as promauto does.
func (s *Store) bind(f *family) {
	if err := s.registry.Register(f.collector); err != nil && !f.unlimited {
		panic(err) // a name of ours may be somebody else's, but that must not end the service
	}
	s.mu.Lock()
	s.families = append(s.families, f)
	s.mu.Unlock()
	if f.mirrored && s.backend.shared() {
		s.mirror.addOwn(f)
	}
	f.store.Store(s)
	if f.single != nil {
		f.start(f.single)
	}
}
