package merge

import (
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// ModeOf returns the mode by which gauges of a name are merged unless a mode is given: the
// name tells what the value means.
func ModeOf(name string) layout.Mode {
	switch {
	case name == "process_start_time_seconds":
		return layout.LiveMin
	case strings.HasSuffix(name, "_timestamp_seconds"):
		return layout.Max
	case strings.HasSuffix(name, "_info"):
		return layout.LiveMax
	case strings.HasSuffix(name, "_ratio"):
		return layout.LiveMean
	}
	return layout.LiveSum
}
