package store

import (
	"fmt"
	"path"

	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/mirror"
)

// MergeMode says how the samples of several processes become one sample: of gauges, by an
// argument of [NewGauge], and of foreign families, by [Opts].Modes. A mode whose name begins
// with Live merges the samples of live processes; the sample of a dead process leaves.
//
// A gauge that a process never set takes no part, except with All and LiveAll;
// if no process set the gauge, the merged gauge is 0. NaN takes part only if all values
// are NaN.
//
// The numbers are part of the file format.
type MergeMode uint8

// The modes. Without a mode the name of the gauge decides: for instance Max for a name that
// ends in "_timestamp_seconds", LiveMax for "_info", LiveMean for "_ratio", LiveMin for a
// name with the word "limit", and LiveSum for every name without a rule. docs/collectors.md
// in the repository has all rules.
const (
	// All keeps a sample for each process, with a label "process".
	All MergeMode = 1
	// LiveAll is All for live processes.
	LiveAll MergeMode = 2
	// Sum adds the values up.
	Sum MergeMode = 3
	// LiveSum adds the values of live processes up: requests in flight.
	LiveSum MergeMode = 4
	// Min takes the smallest value.
	Min MergeMode = 5
	// LiveMin takes the smallest value of live processes.
	LiveMin MergeMode = 6
	// Max takes the largest value: the time of the last success.
	Max MergeMode = 7
	// LiveMax takes the largest value of live processes.
	LiveMax MergeMode = 8
	// MostRecent takes the value that was set last, and the higher of two values
	// that were set in the same nanosecond: a configuration that was reloaded.
	MostRecent MergeMode = 9
	// LiveMostRecent is MostRecent among live processes.
	LiveMostRecent MergeMode = 10
	// LiveMean takes the mean of live processes: a ratio.
	LiveMean MergeMode = 11

	// Omit leaves a foreign family out: in [Opts].Modes only.
	Omit MergeMode = 255
)

// String returns the mode in lower case: "livesum".
func (m MergeMode) String() string {
	if m == Omit {
		return "omit"
	}
	return layout.Mode(m).String()
}

// gaugeMode returns the mode of a gauge: the given mode, or the mode for its name.
func gaugeMode(name string, given []MergeMode) layout.Mode {
	switch len(given) {
	case 0:
		return merge.RuleOf(name).Mode
	case 1:
		if m := layout.Mode(given[0]); m.Valid() {
			return m
		}
		panic(fmt.Errorf("mpmetrics: gauge %q: %v is none of the gauge modes", name, given[0]))
	}
	panic(fmt.Errorf("mpmetrics: gauge %q: %d modes, want at most one", name, len(given)))
}

func checkModes(modes map[string]MergeMode) error {
	for pattern, given := range modes {
		if _, err := path.Match(pattern, ""); err != nil {
			return fmt.Errorf("mode for %q: %w", pattern, err)
		}
		if m := layout.Mode(given); given != Omit && (!m.Valid() || m.Timed()) {
			return fmt.Errorf("mode for %q: %v is invalid for a foreign family", pattern, m)
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
	}
	return merge.RuleFor(mirror.TypeOf(f.GetType()), f.GetName()).Mode, false, false
}

// configuredMode returns the mode that is configured for a family.
func (o *Opts) configuredMode(name string) (mode MergeMode, configured bool) {
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
