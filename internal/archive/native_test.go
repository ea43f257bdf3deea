//go:build unix

package archive

import (
	"slices"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// Native buckets are read as they were written: those of each resolution for
// themselves.
func TestNativeTotals(t *testing.T) {
	f := &layout.Family{Type: layout.NativeHistogram, Name: "h", LabelNames: []string{"l"}, Bounds: []float64{1}}
	a := New()
	for i, schema := range []int32{3, -4, 3} {
		n := &layout.Native{Schema: schema, Threshold: 0.5, Zero: 1, Negative: []layout.NativeBucket{{Index: int32(i + 1), Count: 2}}}
		inputs := []merge.Input{{Values: []string{"x"}}}
		a.Ledger.Absorb(merge.Process{ID: layout.ID{byte(i)}, Start: int64(i)}, []*layout.Family{f}, inputs, []uint64{3, 0, 3, 0}, map[int]*layout.Native{0: n}, 1)
	}
	want := records(t, a)
	again, err := decode(want)
	if err != nil {
		t.Fatal(err)
	}
	if got := records(t, again); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("written again:\ngot  %x\nwant %x", got, want)
	}
	if parts := again.Ledger.Accounts()[0].Entries()[0].Native().Parts(); len(parts) != 2 || parts[0].Zero != 1 || parts[1].Zero != 2 || len(parts[1].Negative) != 2 {
		t.Errorf("%+v, want two resolutions", parts)
	}
}
