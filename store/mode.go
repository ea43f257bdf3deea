package store

import (
	"fmt"
	"path"

	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
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

// gaugeMode picks the mode of a gauge: the one given, or that of its name.
func gaugeMode(name string, given []GaugeMode) layout.Mode {
	switch len(given) {
	case 0:
		return merge.ModeOf(name)
	case 1:
		if m := layout.Mode(given[0]); m.Valid() {
			return m
		}
		panic(fmt.Errorf("mpmetrics: gauge %q: %v is not one of the gauge modes", name, given[0]))
	}
	panic(fmt.Errorf("mpmetrics: gauge %q: %d modes, want at most one", name, len(given)))
}

// Omit in Opts.Modes leaves a family out of the mirror.
const Omit GaugeMode = 255

func checkModes(modes map[string]GaugeMode) error {
	for pattern, given := range modes {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("mode for %q: %w", pattern, err)
		}
		if m := layout.Mode(given); given != Omit && (!m.Valid() || m.Timed()) {
			return fmt.Errorf("mode for %q: %v is not possible for what is mirrored", pattern, m)
		}
	}
	return nil
}

// modeOf returns the mode by which a foreign family is merged, 0 for the rule of its type.
func (o *Opts) modeOf(f *dto.MetricFamily) (mode layout.Mode, configured, omit bool) {
	given, configured := o.configuredMode(f.GetName())
	switch {
	case given == Omit:
		return 0, true, true
	case configured:
		return layout.Mode(given), true, false
	case f.GetType() == dto.MetricType_GAUGE || f.GetType() == dto.MetricType_UNTYPED:
		return merge.ModeOf(f.GetName()), false, false
	}
	return 0, false, false
}

// configuredMode returns the mode that is configured for a family.
func (o *Opts) configuredMode(name string) (mode GaugeMode, configured bool) {
	best := ""
	for pattern := range o.Modes {
		if ok, _ := path.Match(pattern, name); !ok {
			continue
		}
		// The longest pattern is the most exact, and the name itself more so.
		if best == "" || pattern == name || best != name && (len(pattern) > len(best) || len(pattern) == len(best) && pattern < best) {
			best = pattern
		}
	}
	if best == "" {
		return 0, false
	}
	return o.Modes[best], true
}
