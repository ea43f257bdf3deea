package store

import (
	"fmt"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// GaugeMode says how the gauges of several processes become one sample. Those
// that begin with Live leave with their process; the others stay.
//
// A gauge that a process never set takes no part, except with All and LiveAll;
// if nobody set it, it reads 0. NaN takes part only if nothing else does.
type GaugeMode uint8

// The modes. Without one, a gauge is Max if its name ends in
// "_timestamp_seconds", LiveMax for "_info", LiveMean for "_ratio", LiveMin for
// "process_start_time_seconds", and LiveSum otherwise.
const (
	// All keeps a sample for each process, with a label "process".
	All = GaugeMode(layout.All)
	// LiveAll is All for living processes.
	LiveAll = GaugeMode(layout.LiveAll)
	// Sum adds the values up.
	Sum = GaugeMode(layout.Sum)
	// LiveSum adds the values of living processes up: requests in flight.
	LiveSum = GaugeMode(layout.LiveSum)
	// Min takes the smallest value.
	Min = GaugeMode(layout.Min)
	// LiveMin takes the smallest value of living processes.
	LiveMin = GaugeMode(layout.LiveMin)
	// Max takes the largest value: the time of the last success.
	Max = GaugeMode(layout.Max)
	// LiveMax takes the largest value of living processes.
	LiveMax = GaugeMode(layout.LiveMax)
	// MostRecent takes the value that was set last, and the higher one of
	// those set in the same nanosecond: a configuration that was reloaded.
	MostRecent = GaugeMode(layout.MostRecent)
	// LiveMostRecent is MostRecent among living processes.
	LiveMostRecent = GaugeMode(layout.LiveMostRecent)
	// LiveMean takes the mean of living processes: a ratio.
	LiveMean = GaugeMode(layout.LiveMean)
)

// String returns the mode in lower case: "livesum".
func (m GaugeMode) String() string { return layout.Mode(m).String() }

// modeOf picks the mode of a gauge: the one given, or that of its name.
func modeOf(name string, given []GaugeMode) layout.Mode {
	switch len(given) {
	case 0:
		return defaultMode(name)
	case 1:
		if m := layout.Mode(given[0]); m.Valid() {
			return m
		}
		panic(fmt.Errorf("mpmetrics: gauge %q: %v is not one of the gauge modes", name, given[0]))
	}
	panic(fmt.Errorf("mpmetrics: gauge %q: %d modes, want at most one", name, len(given)))
}

func defaultMode(name string) layout.Mode {
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
