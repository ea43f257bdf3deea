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

	// over is how often 2¹⁰²⁴ is to be added to the parts: addends may go beyond float64 and come
	// back.
	over int

	// special is the sum of the infinite addends, of NaN, and of an expansion beyond maxOver. If
	// special is not 0, special is the sum.
	special float64
}

// maxOver bounds over, so that an archive can hold the sum: see expansion.
const maxOver = 8

func (e *exact) reset() {
	e.parts = e.parts[:0]
	e.over, e.special = 0, 0
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
		if !finite(sum) {
			x = e.carry(x)
			if math.Abs(x) < math.Abs(y) {
				x, y = y, x
			}
			sum = x + y
		}
		rest := y - (sum - x)
		if rest != 0 {
			e.parts[kept] = rest
			kept++
		}
		x = sum
	}
	e.parts = e.parts[:kept]
	if x != 0 {
		e.parts = append(e.parts, x)
	}
	e.bound()
}

// carry moves 2¹⁰²⁴ from the larger of two addends into over. The sum of both is beyond float64, so
// the larger one is at least 2¹⁰²³, and both subtractions are exact.
func (e *exact) carry(x float64) float64 {
	half := math.Copysign(halfOver, x)
	e.over += int(math.Copysign(1, x))
	return x - half - half
}

const halfOver = 0x1p1023

// bound gives a sum up that is too large: plain addition gives the result.
func (e *exact) bound() {
	if max(e.over, -e.over) > maxOver {
		e.special += math.Inf(e.over)
		e.parts, e.over = e.parts[:0], 0
	}
}

// finite reports whether x is neither infinite nor NaN: for both, x-x is NaN.
func finite(x float64) bool { return x-x == 0 }

// addExact adds the sum o.
func (e *exact) addExact(o *exact) {
	for _, p := range o.parts {
		e.add(p)
	}
	e.over += o.over
	e.special += o.special
	e.bound()
}

func (e *exact) clone() exact {
	return exact{parts: slices.Clone(e.parts), over: e.over, special: e.special}
}

// settled is the sum with the least over.
func (e *exact) settled() exact {
	s := e.clone()
	for n := max(e.over, -e.over); n > 0; n-- {
		half := math.Copysign(halfOver, float64(e.over))
		s.over -= int(math.Copysign(1, half))
		s.add(half)
		s.add(half)
	}
	return s
}

// expansion returns finite numbers whose exact sum is the sum. The slice may belong to e.
func (e *exact) expansion() []float64 {
	if e.over == 0 {
		return e.parts
	}
	s := e.settled()
	for range 2 * max(s.over, -s.over) {
		s.parts = append(s.parts, math.Copysign(halfOver, float64(s.over)))
	}
	return s.parts
}

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
	if e.over != 0 {
		return e.roundOver()
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

// roundOver is round for a sum that went beyond float64, and may be there still.
func (e *exact) roundOver() float64 {
	s := e.settled()
	sign := s.over
	if sign == 0 {
		return s.round()
	}
	if sign == 1 || sign == -1 {
		// What is less than half a unit in the last place beyond the largest float64 rounds down.
		s.over = 0
		s.add(math.Copysign(0x1p970, float64(sign)))
		if rest := s.round(); rest != 0 && (rest < 0) == (sign > 0) {
			return math.Copysign(math.MaxFloat64, float64(sign))
		}
	}
	return math.Inf(sign)
}

// mean is the sum divided by n. The mean may be a float64 while the sum is beyond float64.
func (e *exact) mean(n float64) float64 {
	if e.over == 0 || e.special != 0 {
		return e.round() / n
	}
	const scale = 0x1p-8 // maxOver times 2¹⁰²⁴ becomes a float64
	scaled := exact{}
	for _, p := range e.parts {
		scaled.add(p * scale)
	}
	scaled.add(float64(e.over) * (2 * halfOver * scale))
	return scaled.round() / n / scale
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
	if c.hi == 0 && len(e.parts) == 0 && e.over == 0 && e.special == 0 {
		return float64(c.lo)
	}
	sum := e.clone()
	sum.addUint128(c.hi, c.lo)
	return sum.round()
}
