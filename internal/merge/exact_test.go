package merge

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// sumOf adds in the given order.
func sumOf(addends []float64) float64 {
	var e exact
	for _, x := range addends {
		e.add(x)
	}
	return e.round()
}

// permutations calls visit with every order of x.
func permutations(x []float64, visit func([]float64)) {
	var swap func(n int)
	swap = func(n int) {
		if n <= 1 {
			visit(x)
			return
		}
		for i := range n {
			x[i], x[n-1] = x[n-1], x[i]
			swap(n - 1)
			x[i], x[n-1] = x[n-1], x[i]
		}
	}
	swap(len(x))
}

// Plain addition gives two results for these, and so does one word of
// compensation: only the exact sum, rounded once, is the same in every order.
func TestExactInEveryOrder(t *testing.T) {
	tiny := math.Ldexp(1, -55)
	for _, c := range []struct {
		name    string
		addends []float64
		want    float64
	}{
		{name: "four tiny ones break a tie", addends: []float64{tiny, tiny, tiny, tiny, 0.5, 1 << 52}, want: 1<<52 + 1},
		{name: "a tie goes to even", addends: []float64{0.5, 1 << 52}, want: 1 << 52},
		{name: "a tie goes to even, upwards", addends: []float64{0.5, 1<<52 + 1}, want: 1<<52 + 2},
		{name: "a negative one breaks a tie", addends: []float64{0.5, 1<<52 + 1, -tiny}, want: 1<<52 + 1},
		{name: "cancellation", addends: []float64{1e300, 1, -1e300, tiny}, want: 1 + 0},
		{name: "all cancels", addends: []float64{1e300, -1e300, 3, -3, tiny, -tiny}, want: 0},
		{name: "subnormal", addends: []float64{math.SmallestNonzeroFloat64, 1, -1}, want: math.SmallestNonzeroFloat64},
		{name: "beyond float64 and back", addends: []float64{1.7e308, 1.7e308, -1.7e308}, want: 1.7e308},
		{name: "beyond float64 and back, downwards", addends: []float64{-1.7e308, -1.7e308, 1.7e308, 1}, want: -1.7e308},
		{name: "beyond float64 twice, and all cancels", addends: []float64{math.MaxFloat64, math.MaxFloat64, math.MaxFloat64, -math.MaxFloat64, -math.MaxFloat64, -math.MaxFloat64}, want: 0},
		{name: "just below half a unit beyond the largest", addends: []float64{math.MaxFloat64, 0x1p970, -tiny}, want: math.MaxFloat64},
		{name: "half a unit beyond the largest", addends: []float64{math.MaxFloat64, 0x1p970}, want: math.Inf(+1)},
		{name: "between both", addends: []float64{math.MaxFloat64, 0x1p971, -0x1p1000}, want: 0x1p1024 - 0x1p1000},
		{name: "tenths", addends: []float64{0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}, want: 0.7000000000000001},
	} {
		t.Run(c.name, func(t *testing.T) {
			permutations(c.addends, func(x []float64) {
				if got := sumOf(x); math.Float64bits(got) != math.Float64bits(c.want) {
					t.Fatalf("sum of %v: got %v, want %v", x, got, c.want)
				}
			})
		})
	}
}

// precision is enough for every sum of float64 and of 128-bit integers.
const precision = 2400

func bigFloat(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }

func bigSum(addends ...float64) *big.Float {
	sum := bigFloat(0)
	for _, x := range addends {
		sum.Add(sum, bigFloat(x))
	}
	return sum
}

// rounded is the float64 nearest to x; a sum of nothing is +0.
func rounded(x *big.Float) float64 {
	v, _ := x.Float64()
	return v + 0
}

// randomAddends makes numbers that are hard to add: of all magnitudes, some of
// which cancel others out, some next to half a unit of their sum.
func randomAddends(r *rand.Rand) []float64 {
	n, span := 1+r.IntN(30), 1+r.IntN(2000)
	low, highest := -1074+r.IntN(2000-min(span, 1999)), 960
	if r.IntN(4) == 0 { // the sum goes beyond float64, and may come back
		n, span, highest = 1+r.IntN(6), 1+r.IntN(60), 1024
		low = highest - span + 1
	}
	x := make([]float64, 0, 2*n+2)
	for range n {
		v := math.Ldexp(0.5+r.Float64()/2, min(low+r.IntN(span), highest))
		if r.IntN(3) == 0 {
			v = -v
		}
		x = append(x, v)
		switch r.IntN(6) {
		case 0: // cancels
			x = append(x, -v)
		case 1: // cancels but for the last bit
			x = append(x, -math.Nextafter(v, 0))
		case 2: // half a unit in the last place: a tie
			x = append(x, (math.Nextafter(v, math.Inf(+1))-v)/2)
		}
	}
	r.Shuffle(len(x), func(i, j int) { x[i], x[j] = x[j], x[i] })
	return x
}

func TestExactAgainstBig(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 10_000 {
		x := randomAddends(r)
		want := rounded(bigSum(x...))
		if got := sumOf(x); math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("seed %d: sum of %v: got %v (%#x), want %v (%#x)", seed, x, got, math.Float64bits(got), want, math.Float64bits(want))
		}
	}
}

// A mean is a number although the sum is not.
func TestMeanOfLargeNumbers(t *testing.T) {
	for _, c := range []struct {
		addends []float64
		want    float64
	}{
		{addends: []float64{1.7e308, 1.7e308}, want: 1.7e308},
		{addends: []float64{-math.MaxFloat64, -math.MaxFloat64, -math.MaxFloat64}, want: -math.MaxFloat64},
		{addends: []float64{1.7e308, 1.7e308, -1.7e308, -1.7e308}, want: 0},
		{addends: []float64{1, math.Inf(+1)}, want: math.Inf(+1)},
		{addends: []float64{1, 2}, want: 1.5},
	} {
		var e exact
		for _, x := range c.addends {
			e.add(x)
		}
		if got := e.mean(float64(len(c.addends))); got != c.want {
			t.Errorf("mean of %v: got %v, want %v", c.addends, got, c.want)
		}
	}
}

// The numbers in an archive have the same exact sum, also beyond float64.
func TestExpansionAgainstBig(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 2))
	beyond := 0
	for range 10_000 {
		x := randomAddends(r)
		var e, again exact
		for _, v := range x {
			e.add(v)
		}
		parts := e.expansion()
		if len(parts) > 64 {
			t.Fatalf("seed %d: %d parts, an archive has room for 64", seed, len(parts))
		}
		for _, v := range parts {
			again.add(v)
		}
		if bigSum(x...).Cmp(bigSum(parts...)) != 0 || again.round() != e.round() {
			t.Fatalf("seed %d: sum of %v: parts %v", seed, x, parts)
		}
		if math.IsInf(e.round(), 0) {
			beyond++
		}
	}
	if beyond == 0 {
		t.Error("no sum was beyond float64")
	}
}

// The sum of a counter is an integer of 128 bits and an exact sum: rounded
// once, not each.
func TestCountPlusExactAgainstBig(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for range 10_000 {
		var c count
		whole := new(big.Int)
		for range r.IntN(40) {
			n := r.Uint64() >> r.IntN(64)
			c.add(n)
			whole.Add(whole, new(big.Int).SetUint64(n))
		}
		var e exact
		var floats []float64
		if r.IntN(4) > 0 {
			for range r.IntN(4) {
				v := math.Ldexp(r.Float64(), r.IntN(140)-70)
				floats = append(floats, v)
				e.add(v)
			}
		}
		sum := bigSum(floats...)
		want := rounded(sum.Add(sum, new(big.Float).SetPrec(precision).SetInt(whole)))
		if got := c.plus(&e); math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("seed %d: %v + %v: got %v, want %v", seed, whole, floats, got, want)
		}
		if got := c.plus(&e); math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("seed %d: reading the sum has changed it: got %v, want %v", seed, got, want)
		}
	}
}

func TestCountCarries(t *testing.T) {
	var c count
	want := new(big.Int)
	for range 5 {
		c.add(math.MaxUint64)
		want.Add(want, new(big.Int).SetUint64(math.MaxUint64))
	}
	got := new(big.Int).SetUint64(c.hi)
	got.Add(got.Lsh(got, 64), new(big.Int).SetUint64(c.lo))
	if got.Cmp(want) != 0 {
		t.Errorf("five times 2^64-1: got %v, want %v", got, want)
	}
}

// What is not finite decides, in every order.
func TestExactNotFinite(t *testing.T) {
	inf, nan := math.Inf(+1), math.NaN()
	for _, c := range []struct {
		name    string
		addends []float64
		want    float64
	}{
		{name: "inf", addends: []float64{1, inf, -5, 0.1}, want: inf},
		{name: "minus inf", addends: []float64{1, -inf, -5, 0.1}, want: -inf},
		{name: "both", addends: []float64{1, inf, -inf, 2}, want: nan},
		{name: "nan", addends: []float64{1, nan, 2}, want: nan},
		{name: "nan and inf", addends: []float64{1, nan, inf, 2}, want: nan},
		{name: "beyond float64", addends: []float64{math.MaxFloat64, math.MaxFloat64, 1}, want: inf},
		{name: "beyond float64, downwards", addends: []float64{-math.MaxFloat64, -math.MaxFloat64, 1}, want: -inf},
		{name: "the largest", addends: []float64{math.MaxFloat64, 1, 1e200}, want: math.MaxFloat64},
	} {
		t.Run(c.name, func(t *testing.T) {
			permutations(c.addends, func(x []float64) {
				got := sumOf(x)
				if got != c.want && !(math.IsNaN(got) && math.IsNaN(c.want)) {
					t.Fatalf("sum of %v: got %v, want %v", x, got, c.want)
				}
			})
		})
	}
}

// A sum that is kept from scrape to scrape begins anew.
func TestExactReset(t *testing.T) {
	var e exact
	e.add(math.NaN())
	e.add(1e300)
	e.reset()
	if got := e.round(); got != 0 {
		t.Errorf("after reset: got %v, want 0", got)
	}
	e.add(3)
	if got := e.round(); got != 3 {
		t.Errorf("after reset and 3: got %v, want 3", got)
	}
}
