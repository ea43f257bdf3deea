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

	// NativeHistogram is a histogram with native buckets, with or without classic
	// ones beside them. It is mirrored only.
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

// Cumulative reports whether the values of the type only grow, so that a dip
// would be booked as a reset.
func (t Type) Cumulative() bool { return t != Gauge && t != Untyped }

// Bucketed reports whether a value of the type has classic buckets, if only that
// of +Inf.
func (t Type) Bucketed() bool { return t == Histogram || t == NativeHistogram }

// Mode says how the gauges of several processes become one. The numbers are
// part of the format; zero is for families whose values are summed up by their
// type. Beside gauges and untyped families, which have one, a mirrored counter may
// have one: a total that is not the process's own.
type Mode uint8

// The gauge modes. Those that begin with Live leave with their process.
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

// Valid reports whether m is one of the eleven modes.
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

// PerProcess reports whether each process keeps a sample of its own, told
// apart by the label "process".
func (m Mode) PerProcess() bool { return m == All || m == LiveAll }

// Timed reports whether the time of an update decides, so that the cells hold it.
func (m Mode) Timed() bool { return m == MostRecent || m == LiveMostRecent }
