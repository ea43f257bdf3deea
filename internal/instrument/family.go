// Package instrument holds the instruments of a process: the families that the process
// has defined, the series of each family, and the cells in which a series counts.
//
// An instrument counts in the words it was given, and knows nothing of the place that
// gave them: memory, a file, or a server (package place). A place moves an instrument
// from one set of words to another, and no update is lost or counted twice meanwhile.
package instrument

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/ownerfile"
)

// Family is a metric name with its definition: type, help, unit, labels.
type Family struct {
	Def       layout.Family
	Desc      *prometheus.Desc
	Collector prometheus.Collector // the vec, or the single instrument

	// Unlimited families do not count against the limit of a Catalog: the families
	// about mpmetrics itself.
	Unlimited bool

	// Mirrored families are collectors of client_golang: native histograms. They have
	// no cells.
	Mirrored bool

	// Single is the instrument of a family without labels, nil for a vec.
	Single Instrument

	// OnUse binds a family of package level to the default store, before the first
	// update. nil for a family that was bound when the family was made.
	OnUse func()

	// Record is the number of the family's record in the owner file, common to all families of the
	// definition that a process makes one after the other. Guarded by the lock of the place.
	Record *ownerfile.Record

	// exemplars takes the instruments that have exemplars; nil where no process sees any.
	// Written once, when a Catalog takes the family in.
	exemplars atomic.Pointer[ExemplarList]

	// Guarded by the lock of the Catalog.
	children children // of a vec
	rests    *rests   // of removed families of the same definition; nil: there were none
	removed  bool     // the family was unregistered
	beyond   int      // series beyond the limit

	// For the goroutine that sweeps alone.
	sweeps uint64    // how often the vec was looked at
	due    time.Time // when the vec is looked at next
}

// NewFamily makes the definition of a user's metric. NewFamily panics for a definition
// that breaks a rule of client_golang, or a rule of mpmetrics.
func NewFamily(def layout.Family, labels prometheus.ConstrainableLabels, namespace, subsystem string, constLabels prometheus.Labels) *Family {
	def.Name = prometheus.BuildFQName(namespace, subsystem, def.Name)
	if strings.HasPrefix(def.Name, layout.ReservedPrefix) {
		panic(fmt.Errorf("mpmetrics: metric name %q: names that begin with %q belong to mpmetrics itself", def.Name, layout.ReservedPrefix))
	}
	return newFamily(def, labels, constLabels)
}

// NewSelfFamily makes the definition of a metric about mpmetrics itself. The limit of a
// Catalog does not apply: such a metric has to count when no series is left.
func NewSelfFamily(def layout.Family, labels prometheus.ConstrainableLabels) *Family {
	f := newFamily(def, labels, nil)
	f.Unlimited = true
	return f
}

func newFamily(def layout.Family, labels prometheus.ConstrainableLabels, constLabels prometheus.Labels) *Family {
	if labels == nil {
		labels = prometheus.UnconstrainedLabels(nil)
	}
	def.LabelNames = namesOf(labels)
	f := &Family{
		Record: new(ownerfile.Record),
		Desc:   prometheus.V2.NewDesc(def.Name, def.Help, labels, constLabels, prometheus.WithUnit(def.Unit)),
	}
	if err := f.Desc.Err(); err != nil {
		panic(fmt.Errorf("mpmetrics: %w", err))
	}
	for _, l := range prometheus.MakeLabelPairs(f.Desc, make([]string, len(def.LabelNames))) {
		if _, isConst := constLabels[l.GetName()]; isConst {
			def.ConstLabels = append(def.ConstLabels, layout.Label{Name: l.GetName(), Value: l.GetValue()})
		}
	}
	if err := def.Validate(); err != nil {
		// Validate speaks of files; no file is damaged here.
		panic(fmt.Errorf("mpmetrics: %s", strings.TrimSuffix(err.Error(), ": "+layout.ErrDamaged.Error())))
	}
	// A definition beyond the limits of readers must not be written: readers would take
	// the whole file for damaged.
	if n := max(len(def.LabelNames), len(def.ConstLabels)); n > layout.MaxLabels {
		panic(fmt.Errorf("mpmetrics: metric %q: %d labels, at most %d are supported", def.Name, n, layout.MaxLabels))
	}
	if n := len(layout.AppendFamily(nil, 0, &def)) + binary.MaxVarintLen32; n > layout.MaxRecordBytes {
		panic(fmt.Errorf("mpmetrics: metric %q: a definition of %d bytes, at most %d are supported", def.Name, n, layout.MaxRecordBytes))
	}
	f.Def = def
	return f
}

// namesOf returns the names of variable labels, nil for none. client_golang does not
// tell the names, and has these two types.
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

// onUse binds a family of package level to the default store.
func (f *Family) onUse() {
	if f.OnUse != nil {
		f.OnUse()
	}
}

// Instruments calls do for every instrument of the family. The lock of a vec is held
// meanwhile: do must neither wait nor take a lock.
func (f *Family) Instruments(do func(Instrument)) {
	metrics := make(chan prometheus.Metric, 128)
	go func() {
		defer close(metrics)
		f.Collector.Collect(metrics)
	}()
	for m := range metrics {
		do(m.(Instrument))
	}
}
