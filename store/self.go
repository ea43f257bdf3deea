package store

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// countDropped shows the series beyond MaxSeries in a counter of this process.
// The counter is made with the first dropped series, and here, where no lock is held.
func (s *Store) countDropped() {
	n := s.catalog.TakeDropped()
	if n == 0 {
		return
	}
	if s.droppedTotal == nil {
		f := instrument.NewSelfFamily(layout.Family{
			Type: layout.Counter, Name: layout.ReservedPrefix + "dropped_series_total",
			Help: "Series beyond the limit of a process, which are counted in its memory only.",
		}, nil)
		s.droppedTotal = define(s, f, f.NewCounter())
	}
	s.droppedTotal.Add(float64(n))
}

// countUnmirrored shows how much of the foreign collectors is not mirrored.
func (s *Store) countUnmirrored(reason string, n int) {
	if s.unmirroredTotal == nil {
		f := instrument.NewSelfFamily(layout.Family{
			Type: layout.Counter, Name: layout.ReservedPrefix + "unmirrored_total",
			Help: "What collectors that are not ours show and is not mirrored, by reason.",
		}, prometheus.UnconstrainedLabels{"reason"})
		s.unmirroredTotal = &prometheus.CounterVec{MetricVec: defineVec(s, f, func(values ...string) instrument.Instrument { return f.NewCounter(values...) })}
	}
	s.unmirroredTotal.WithLabelValues(reason).Add(float64(n))
}
