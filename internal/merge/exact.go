package merge

import (
	"math"
	"math/bits"
	"slices"
)

// exact is a sum of float64 without rounding error: an expansion, a list of numbers without
// overlapping bits, ascending in magnitude. The rounded sum depends on the addends only, not on
// their order.
//
// Source: J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric
// Predicates, 1997, section 2 (grow-expansion). The final rounding to nearest, ties to even,
// follows Python's math.fsum.
type exact struct {
	parts []float64

	// special is the sum of the infinite addends, of NaN, and of the addends that drove the
	// expansion beyond float64. If special is not 0, special is the sum.
	special float64
}

func (e *exact) reset() {
	e.parts = e.parts[:0]
	e.special = 0
}

// add adds x.
func (e *exact) add(x float64) {
	if x == 0 {
		return
	}
	if !finite(x) {
		e.special += x
		return
	}
	kept := 0
	for _, y := range e.parts {
		if math.Abs(x) < math.Abs(y) {
			x, y = y, x
		}
		sum := x + y
		rest := y - (sum - x)
		if rest != 0 {
			e.parts[kept] = rest
			kept++
		}
		x = sum
	}
	if !finite(x) {
		// The sum of finite addends is beyond float64: plain addition gives the result.
		e.parts, e.special = e.parts[:0], e.special+x
		return
	}
	e.parts = e.parts[:kept]
	if x != 0 {
		e.parts = append(e.parts, x)
	}
}

// finite reports whether x is neither infinite nor NaN: for both, x-x is NaN.
func finite(x float64) bool { return x-x == 0 }

// addExact adds the sum o.
func (e *exact) addExact(o *exact) {
	for _, p := range o.parts {
		e.add(p)
	}
	e.special += o.special
}

func (e *exact) clone() exact { return exact{parts: slices.Clone(e.parts), special: e.special} }

// addUint128 adds hi·2⁶⁴ + lo, in pieces small enough for float64.
func (e *exact) addUint128(hi, lo uint64) {
	const half = 1 << 32
	for i, word := range [2]uint64{lo, hi} {
		scale := 64 * i
		e.add(math.Ldexp(float64(word%half), scale))
		e.add(math.Ldexp(float64(word/half), scale+32))
	}
}

// round returns the float64 nearest to the sum.
func (e *exact) round() float64 {
	if e.special != 0 { // NaN too
		return e.special
	}
	n := len(e.parts)
	if n == 0 {
		return 0
	}
	sum, rest := e.parts[n-1], 0.0
	i := n - 2
	for ; i >= 0 && rest == 0; i-- {
		x, y := sum, e.parts[i]
		sum = x + y
		rest = y - (sum - x)
	}
	// sum was rounded, and rest is the remainder. If rest is exactly half a unit in the last place,
	// the tie went to even without regard to the parts below. The parts below break the tie.
	if i >= 0 && (rest < 0) == (e.parts[i] < 0) && rest != 0 {
		y := rest * 2
		if x := sum + y; x-sum == y {
			sum = x
		}
	}
	return sum
}

// count is a sum of unsigned integers in 128 bits.
type count struct{ hi, lo uint64 }

func (c *count) add(n uint64) { c.addCount(count{lo: n}) }

func (c *count) addCount(o count) {
	var carry uint64
	c.lo, carry = bits.Add64(c.lo, o.lo, 0)
	c.hi += o.hi + carry
}

// plus returns c + e, rounded once.
func (c count) plus(e *exact) float64 {
	if c.hi == 0 && len(e.parts) == 0 && e.special == 0 {
		return float64(c.lo)
	}
	sum := e.clone()
	sum.addUint128(c.hi, c.lo)
	return sum.round()
}
