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
	"github.com/mpmetrics/mpmetrics/internal/partition"
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

	// record is the number of the family's record plus one, 0 while there is
	// none. Written under the store's mu.
	record uint32

	living living // of a vec

	// The background work's alone.
	sweeps uint64    // looks at the vec so far
	due    time.Time // when the next one is
}

// instrument is what keeps one series.
type instrument interface {
	prometheus.Metric
	base() *series

	// use moves to these cells of a file, which no reader sees yet, with
	// everything counted so far.
	use(cells []atomic.Uint64)
	// keep counts on the heap, with nothing counted so far.
	keep()
	// leave moves from cells of a file to the heap. The file keeps its values.
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

	// home is the file that the series is published in, nil for none. Written
	// under the lock of the partition, and by the background work.
	home atomic.Pointer[partition.Partition]

	// Guarded by the store's mu. All but run are for series of vecs.
	run      partition.Run // in home
	hash     uint64        // of values
	index    int           // in living.all
	sameHash *series       // the next one in living.byHash
	born     uint64        // which series of a vec it is, from 1; read by the background work too, behind the lock of the vec
	counted  bool          // against MaxSeries
	gone     atomic.Bool   // deleted from its vec; read without mu too
	recorded bool          // the log says that it is gone, in front of the one that was made again

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
	if s.dir == "" {
		i.keep()
		return
	}
	b := i.base()
	if f.single == nil {
		b.hash = hashOf(b.values)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.enter(i) {
		i.keep()
	}
}

// enter publishes a new series, if there is room for it, and otherwise keeps it in
// mind. An earlier one with the same label values was deleted from its vec: a reader
// sees it go before it sees the new one. mu is held.
func (s *Store) enter(i instrument) (published bool) {
	b := i.base()
	p := s.part.Load()
	var earlier *series
	if f := b.family; f.single == nil {
		if earlier = f.living.find(b.hash, b.values); earlier != nil {
			s.depart(earlier)
		}
		s.born++
		b.born = s.born
		f.living.add(b)
	}
	if earlier != nil && (p == nil || earlier.home.Load() != p) {
		s.record(earlier)
		earlier = nil
	}
	if !s.reserve(b) {
		if earlier != nil {
			s.record(earlier)
		}
		return false
	}
	if p != nil && earlier == nil && s.publishIn(p, i, nil) {
		return true
	}
	if earlier != nil {
		if published = s.publishIn(p, i, &earlier.run); published {
			earlier.recorded = true
		}
		s.record(earlier)
	}
	if !published && !s.closed {
		s.pending = append(s.pending, i)
	}
	return published
}

// reserve counts a series against the limit. One beyond it stays in memory, and
// so does one whose record no reader would believe.
func (s *Store) reserve(b *series) bool {
	if b.family.unlimited {
		return true
	}
	if b.tooLong() {
		s.dropped.Add(1)
		return false
	}
	if s.series.Add(1) > int64(s.opts.MaxSeries) {
		s.series.Add(-1)
		s.dropped.Add(1)
		return false
	}
	b.counted = true
	return true
}

// tooLong reports whether readers would not believe the record of a series.
func (s *series) tooLong() bool {
	const head = 64 // more than the numbers in front of the label values take
	n := head
	for _, v := range s.values {
		n += binary.MaxVarintLen32 + len(v)
		if len(v) > layout.MaxLabelBytes {
			return true
		}
	}
	return n > layout.MaxRecordBytes
}

// publish gives an instrument that waits in memory cells in the file of the store.
// It reports false when there is none, or no room in it.
func (s *Store) publish(i instrument) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.part.Load()
	return p != nil && s.publishIn(p, i, nil)
}

// publishIn gives an instrument cells in a file, and appends in front of its record
// that another series of the file, unless nil, is gone. It reports false when there
// is no room. mu is held.
func (s *Store) publishIn(p *partition.Partition, i instrument, gone *partition.Run) bool {
	b := i.base()
	if b.gone.Load() {
		return true // nobody is to see it any more
	}
	if !s.repay() {
		return false // one with the same label values may be among them
	}
	number, ok := familyNumber(p, b.family)
	if !ok {
		return false
	}
	run, ok := p.ReplaceSeries(gone, number, b.created.Load(), b.values, b.family.def.CellWords(), func(cells []atomic.Uint64) {
		b.home.Store(p)
		i.use(cells)
	})
	if ok {
		b.run = run
	}
	return ok
}

// postpone keeps an instrument in mind that could not be published.
func (s *Store) postpone(i instrument) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.pending = append(s.pending, i)
	}
}

// familyNumber returns the number of the family's record, and writes the record
// first if there is none. The store's mu is held.
func familyNumber(p *partition.Partition, f *family) (uint32, bool) {
	if f.record == 0 {
		number, ok := p.AppendFamily(&f.def)
		if !ok {
			return 0, false
		}
		f.record = number + 1
	}
	return f.record - 1, true
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
	if f.mirrored && s.dir != "" {
		s.mirror.addOwn(f)
	}
	f.store.Store(s)
	if f.single != nil {
		f.start(f.single)
	}
}
