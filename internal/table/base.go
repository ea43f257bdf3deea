package table

import (
	"math"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// A process that was absorbed and came back has in its values what the archive has
// too: its base. Observations are taken off as the whole numbers they are. Of sums, and
// of counters, the base becomes values of its own, with the other sign, beside that of
// the series: the difference of two float64 is not one in general, and an exact sum
// takes both.

// Since writes to out what a value has beyond its base, without what rest returns.
func Since(f *layout.Family, value, base, out []uint64) {
	copy(out, value)
	switch {
	case f.ByMode():
		// What it has put into a sum of gauges for good. Other modes take the same
		// value twice without harm.
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

// rest returns up to three further values of a series with a base: summed exactly with
// the value, they take the base off.
func rest(f *layout.Family, base []uint64) [][]uint64 {
	if f.ByMode() {
		return nil
	}
	var all [][]uint64
	less := func(v float64) {
		if v != 0 && !math.IsNaN(v) && !math.IsInf(v, 0) { // the archive has none of these
			words := make([]uint64, f.ValueWords())
			words[1] = math.Float64bits(-v)
			all = append(all, words)
		}
	}
	less(math.Float64frombits(base[1]))
	if f.Type == layout.Counter {
		const half = 1 << 32 // pieces that float64 holds
		less(float64(base[0] % half))
		less(float64(base[0]/half) * half)
	}
	return all
}

// nativeSince is what native buckets have beyond a base.
func nativeSince(value, base *layout.Native) *layout.Native {
	if value == nil || base == nil || merge.NativeAnew(base, value) {
		return value
	}
	return merge.NativeSince(value, base)
}
