// Package cell stands in the place of internal/cell: see package schedule.
package cell

import "github.com/mpmetrics/mpmetrics/internal/testing/schedule/atomic"

// Plain returns other words: a thread that loads does so by the instrument, and not from the cells.
func Plain(words []atomic.Uint64) []uint64 { return make([]uint64, len(words)) }
