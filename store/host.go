package store

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/compact"
	"github.com/mpmetrics/mpmetrics/internal/instrument"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// host is a Store as its place and its mirror see the Store.
type host Store

// Absorb absorbs the dead of the location of the store, unless another process does.
func (h *host) Absorb(ctx context.Context, minDead int) {
	s := (*Store)(h)
	o := compact.Opts{
		Limits: s.opts.Absorption, ArchiveDir: s.opts.ArchiveDir, MinDead: minDead,
		GroupShared: s.opts.GroupShared, AllowNetworkFS: s.opts.AllowNetworkFS, Logger: s.opts.Logger,
	}
	if _, err := compact.Run(ctx, s.Location(), o); err != nil && ctx.Err() == nil && !errors.Is(err, compact.ErrBusy) {
		s.opts.Logger.Warn("mpmetrics: dead processes are not absorbed", s.place.Where(), "err", err)
	}
}

// Mirrors reports whether a foreign collector is registered.
func (h *host) Mirrors() bool { return h.foreign.Used() }

// Mode returns the mode by which a foreign family is merged.
func (h *host) Mode(f *dto.MetricFamily) (mode layout.Mode, configured, omit bool) {
	return h.opts.modeOf(f)
}

// Unmirrored shows how much of the foreign collectors is not mirrored.
func (h *host) Unmirrored(reason string, n int) {
	h.count(&h.unmirroredTotal, "unmirrored_total", "Metrics of foreign collectors that are not mirrored, by reason.", "reason", reason, n)
}

// Reset shows which foreign collectors have cumulative values that went down: each time the
// former values stay in the total, so a collector that dips makes the total too high.
func (h *host) Reset(family string, n int) {
	h.count(&h.resetsTotal, "mirrored_resets_total", "Cumulative series of foreign collectors that went down and were taken for reset, by family.", "family", family, n)
}

// count adds to a counter about mpmetrics itself. The first count makes the vec.
func (h *host) count(vec **prometheus.CounterVec, name, help, label, value string, n int) {
	if *vec == nil {
		f := instrument.NewSelfFamily(layout.Family{
			Type: layout.Counter, Name: layout.ReservedPrefix + name, Help: help,
		}, prometheus.UnconstrainedLabels{label})
		*vec = defineVec((*Store)(h), f, func(values ...string) instrument.Instrument { return f.NewCounter(values...) }, asCounterVec)
	}
	(*vec).WithLabelValues(value).Add(float64(n))
}

// countDropped shows the series beyond MaxSeries in a counter of this process.
// The first dropped series makes the counter, here, because no lock is held.
func (s *Store) countDropped() {
	n := s.catalog.TakeDropped()
	if n == 0 {
		return
	}
	if s.droppedTotal == nil {
		f := instrument.NewSelfFamily(layout.Family{
			Type: layout.Counter, Name: layout.ReservedPrefix + "dropped_series_total",
			Help: "Series beyond the limit of a process, counted in the memory of the process only.",
		}, nil)
		s.droppedTotal = define(s, f, f.NewCounter())
	}
	s.droppedTotal.Add(float64(n))
}
