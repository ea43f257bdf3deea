//go:build unix

package ownerfile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// Transactions that rewrite mirrored families of all sizes move no
// slab, and take no cell.
func TestSlabsStayUnderMirroredFamilies(t *testing.T) {
	p := create(t)
	family := counterFamily(t, p)
	r := rand.New(rand.NewPCG(1, 2))
	var counts uint64
	cells := series(t, p, family, "first")
	for n := range 500 {
		changed := map[string][]byte{}
		for range 1 + r.IntN(5) {
			name := fmt.Sprintf("family_%d", r.IntN(40))
			changed[name] = nil
			if r.IntN(4) > 0 {
				changed[name] = bytes.Repeat([]byte{byte(n)}, r.IntN(20_000))
			}
		}
		if err := p.Mirror(Mirrored{Families: changed, Exemplars: changed}); err != nil { // it looks where the slabs are
			t.Fatal(err)
		}
		cells[0].Add(1)
		counts++
		for i := range 10 {
			series(t, p, family, fmt.Sprint(n, i))
		}
	}
	if got := cells[0].Load(); got != counts {
		t.Errorf("%d counts are left of %d", got, counts)
	}
	if len(p.slabs) < 4 {
		t.Errorf("%d slabs: the file did not grow meanwhile", len(p.slabs))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Mirror(Mirrored{Families: map[string][]byte{"f": nil}}); err != nil {
		t.Errorf("after Close: %v, want nothing", err)
	}
}
