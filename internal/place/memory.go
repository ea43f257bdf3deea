package place

import (
	"context"
	"log/slog"

	"github.com/mpmetrics/mpmetrics/internal/instrument"
)

// Memory is the place of a process that shows its metrics itself, to no other process.
type Memory struct {
	// Instead says why memory stands for the place that was configured; usually nil.
	Instead error
}

var _ Place = Memory{}

// Shared implements Place.
func (Memory) Shared() bool { return false }

// Where implements Place.
func (Memory) Where() slog.Attr { return slog.String("location", "memory:") }

// Distant implements Place.
func (Memory) Distant() bool { return false }

// Open implements Place.
func (m Memory) Open(context.Context) error { return m.Instead }

// Start implements Place.
func (Memory) Start() {}

// Enter implements Place.
func (Memory) Enter(i instrument.Instrument, _ *instrument.Series) { i.Keep() }

// Await implements Place.
func (Memory) Await(*instrument.Series) {}

// Depart implements Place.
func (Memory) Depart(*instrument.Series) {}

// Hand implements Place.
func (Memory) Hand(instrument.Instrument, instrument.Heir) bool { return false }

// Share implements Place.
func (Memory) Share(instrument.Instrument, instrument.Heir) bool { return false }

// Shows implements Place.
func (Memory) Shows(*instrument.Series) bool { return false }

// Ready implements Place.
func (Memory) Ready() bool { return false }

// Stage implements Place.
func (Memory) Stage(Mirrored) {}

// Flush implements Place.
func (Memory) Flush(context.Context) error { return nil }

// Degraded implements Place.
func (m Memory) Degraded() error { return m.Instead }

// Close implements Place.
func (Memory) Close() error { return nil }
