// Package runtime stands in the place of runtime: see package schedule.
package runtime

import "github.com/mpmetrics/mpmetrics/internal/testing/schedule"

// Gosched lets another thread run.
func Gosched() { schedule.Yield() }

// KeepAlive does nothing.
func KeepAlive(any) {}
