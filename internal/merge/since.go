package merge

import (
	"math"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// A process may be absorbed and come back. The archive then has a part of the values of the
// process: the base. Observations are whole numbers, and the base is subtracted from the counts.
// For sums and counters the base becomes further values with the opposite sign, beside the value of
// the series. The difference of two float64 is inexact in general, and an exact sum takes both.

// Since writes the part of a value beyond the base to out. Rest returns the remainder of the base.
func Since(f *layout.Family, value, base, out []uint64) {
	copy(out, value)
	switch {
	case f.ByMode():
		// The archive adds a Sum gauge of an absorbed process for good. In the other modes the same
		// value twice is harmless.
		if f.Mode == layout.Sum {
			v, set := layout.DecodeGauge(value[0])
			b, was := layout.DecodeGauge(base[0])
			if set && was {
				out[0] = layout.EncodeGauge(v - b)
			}
		}
	case f.Type != layout.Counter:
		out[0] -= base[0]
		for i := 2; i < len(out); i++ {
			out[i] -= base[i]
		}
	}
}

// Rest returns up to three further values of a series with a base. Summed exactly with the value of
// the series, they subtract the base.
func Rest(f *layout.Family, base []uint64) [][]uint64 {
	if f.ByMode() {
		return nil
	}
	var all [][]uint64
	less := func(v float64) {
		if v != 0 && finite(v) { // the archive has only finite sums
			words := make([]uint64, f.ValueWords())
			words[1] = math.Float64bits(-v)
			all = append(all, words)
		}
	}
	less(math.Float64frombits(base[1]))
	if f.Type == layout.Counter {
		const half = 1 << 32 // float64 holds each piece exactly
		less(float64(base[0] % half))
		less(float64(base[0]/half) * half)
	}
	return all
}

// NativeSince returns the part of native buckets beyond a base; without a base, and after a reset,
// all.
func NativeSince(value, base *layout.Native) *layout.Native {
	if value == nil || base == nil || NativeAnew(base, value) {
		return value
	}
	left, _ := subtract(value, base)
	return left
}
