package merge

import (
	"math"
	"testing"
)

// Bounds of -0 and 0 are one bound, whichever process is the newest. Its label is always "0".
func TestBoundOfMinusZero(t *testing.T) {
	minus := math.Copysign(0, -1)
	for _, bounds := range [][2]float64{{minus, 0}, {0, minus}, {minus, minus}} {
		w := newWorld(t)
		w.define(w.join(start(1, "p")), histogramOf("h", bounds[0], 1), nil, histogramCells(2, 1, 1, 0)...)
		w.define(w.join(start(2, "q")), histogramOf("h", bounds[1], 1), nil, histogramCells(3, 2, 0, 1)...)
		w.check("both", values{"h_count": 5, "h_sum": 5, "h_le_0": 3, "h_le_1": 1, "h_le_+Inf": 1})
		w.checkReasons("both", nil)
	}
}
