package layout

import "fmt"

// Type is the type of a family. The numbers are part of the format.
type Type uint8

// The types of families.
const (
	Counter   Type = 1
	Gauge     Type = 2
	Histogram Type = 3
	Summary   Type = 4
	Untyped   Type = 5 // mirrored only

	// NativeHistogram is a histogram with native buckets, with or without classic buckets. Only
	// foreign collectors have native histograms.
	NativeHistogram Type = 6
)

func (t Type) String() string {
	switch t {
	case Counter:
		return "counter"
	case Gauge:
		return "gauge"
	case Histogram:
		return "histogram"
	case Summary:
		return "summary"
	case Untyped:
		return "untyped"
	case NativeHistogram:
		return "native histogram"
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// Cumulative reports whether the values of the type only grow, so that Prometheus takes a dip for
// a reset.
func (t Type) Cumulative() bool { return t != Gauge && t != Untyped }

// Bucketed reports whether a value of the type has classic buckets, at least the bucket of +Inf.
func (t Type) Bucketed() bool { return t == Histogram || t == NativeHistogram }

// Mode says how the gauges of several processes become one value. The numbers are part of the
// format. Families without a mode have zero: their values are summed by type. Gauges and untyped
// families always have a mode. A mirrored counter has a mode if its total is not the process's
// own.
type Mode uint8

// The gauge modes. A value with a Live mode disappears together with its process.
const (
	All Mode = 1 + iota
	LiveAll
	Sum
	LiveSum
	Min
	LiveMin
	Max
	LiveMax
	MostRecent
	LiveMostRecent
	LiveMean
	modeEnd
)

var modeNames = [...]string{
	All: "all", LiveAll: "liveall", Sum: "sum", LiveSum: "livesum", Min: "min", LiveMin: "livemin",
	Max: "max", LiveMax: "livemax", MostRecent: "mostrecent", LiveMostRecent: "livemostrecent", LiveMean: "livemean",
}

// Valid reports whether m is a known mode.
func (m Mode) Valid() bool { return m >= All && m < modeEnd }

// String returns the name of the mode in lower case: "livesum".
func (m Mode) String() string {
	if m.Valid() {
		return modeNames[m]
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// Live reports whether only living processes take part.
func (m Mode) Live() bool {
	switch m {
	case LiveAll, LiveSum, LiveMin, LiveMax, LiveMostRecent, LiveMean:
		return true
	}
	return false
}

// PerProcess reports whether each process keeps its own sample, with its own value of the label
// "process".
func (m Mode) PerProcess() bool { return m == All || m == LiveAll }

// Timed reports whether the latest update wins. The cells of a Timed gauge hold the time.
func (m Mode) Timed() bool { return m == MostRecent || m == LiveMostRecent }
