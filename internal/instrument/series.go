package instrument

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// Instrument keeps one series.
type Instrument interface {
	prometheus.Metric
	Base() *Series

	// Use moves to cells of a place, which no reader sees yet, with everything counted
	// so far.
	Use(cells []atomic.Uint64)
	// Keep counts on the heap, with nothing counted so far.
	Keep()
	// Leave moves from cells of a place to the heap. The cells keep their values.
	Leave()
	// Load loads the value, as layout.Family.ValueWords describes the words, of one
	// instant: increments on their way between cells are counted, once. Load may wait for
	// a moment, and must not be called where new series wait.
	Load(out []uint64)
	// Mend puts the value in order after some of the cells were set to zero. Mend
	// reports whether no count is left, so that the series has a new start.
	Mend() (empty bool)
}

// Single is an instrument that is a collector too: an instrument without labels.
type Single interface {
	Instrument
	prometheus.Collector
}

// Drainer is an instrument that can leave increments in its former cells after a move.
type Drainer interface {
	// Drain moves late increments to the cells in use.
	Drain()
	// Settle drains for the last time.
	Settle()
}

// Series is the part that all instruments share: the identity of their series.
type Series struct {
	Family  *Family
	Values  []string     // of the variable labels
	Created atomic.Int64 // start timestamp, Unix nanoseconds

	// Place is where the series stands in an owner file. Place is no pointer: a new
	// series would cost one more allocation.
	Place ownerfile.Place

	self Instrument  // that has the series
	gone atomic.Bool // deleted from its vec; see Gone

	// Guarded by the lock of the Catalog; counted alone has a meaning for a series
	// without labels too.
	hash     uint64  // of Values
	index    int     // in children.all
	sameHash *Series // the next series in children.byHash
	born     uint64  // number of the series among those of vecs, from 1; read by a sweep too, after the lock of the vec
	counted  bool    // against the limit
	beyond   bool    // the limit; see Beyond

	seen uint64 // the last sweep that met the series; for the sweep alone
}

// begin is the constructor, for an instrument.
func (s *Series) begin(self Instrument, f *Family, values []string) {
	s.self, s.Family, s.Values = self, f, values
	s.Created.Store(time.Now().UnixNano())
}

// Base returns the series of an instrument.
func (s *Series) Base() *Series { return s }

// Gone reports whether the series was deleted. Gone takes no lock.
func (s *Series) Gone() bool { return s.gone.Load() }

// Beyond reports whether the series was beyond the limit when it was made, and has had no place
// since. Its instrument counts on the heap. The lock of the catalog is held.
func (s *Series) Beyond() bool { return s.beyond }

// Desc implements prometheus.Metric.
func (s *Series) Desc() *prometheus.Desc { return s.Family.Desc }

// Describe implements prometheus.Collector.
func (s *Series) Describe(ch chan<- *prometheus.Desc) { ch <- s.Family.Desc }

// LabelPairs returns all labels of the series, constant labels included, by name.
func (s *Series) LabelPairs() []*dto.LabelPair {
	return prometheus.MakeLabelPairs(s.Family.Desc, s.Values)
}

func (s *Series) startTimestamp() *timestamppb.Timestamp {
	return timestamppb.New(time.Unix(0, s.Created.Load()))
}
