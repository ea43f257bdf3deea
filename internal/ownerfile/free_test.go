//go:build unix

package ownerfile

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// placed appends a series with so many cells, which have to be zero, and fills them.
func placed(t *testing.T, p *File, family uint32, words int) Run {
	t.Helper()
	for {
		r, ok := p.ReplaceSeries(nil, family, 1, []string{"x"}, words, func(cells []atomic.Uint64) {
			for i := range cells {
				if v := cells[i].Load(); v != 0 {
					t.Errorf("cell %d of a new series holds %d", i, v)
				}
				cells[i].Store(1)
			}
		})
		if ok {
			return r
		}
		grow(t, p)
	}
}

// Cells are used again when they have rested, not before, and not for a run of
// another size.
func TestRecycle(t *testing.T) {
	p := create(t)
	family := counterFamily(t, p)
	const rest = time.Minute
	now := time.Now()
	recycle := func() {
		t.Helper()
		if err := p.Recycle(now, rest); err != nil {
			t.Fatal(err)
		}
	}
	old := placed(t, p, family, 5)
	p.Free(old)
	recycle() // it begins to rest
	now = now.Add(rest - 1)
	recycle()
	if r := placed(t, p, family, 5); r.place() == old.place() {
		t.Error("cells that have not rested were used again")
	}
	now = now.Add(1)
	recycle()
	if r := placed(t, p, family, 6); r.place() == old.place() {
		t.Error("five cells were used for six")
	}
	if r := placed(t, p, family, 5); r.place() != old.place() {
		t.Error("cells that have rested were not used again")
	}
	if r := placed(t, p, family, 5); r.place() == old.place() {
		t.Error("cells were used twice")
	}
}

// A file does not grow with the series that come and go, and no two that live
// share a cell.
func TestRecycleManySizes(t *testing.T) {
	p := create(t)
	family := counterFamily(t, p)
	var living []Run
	used := map[layout.Place]bool{}
	cells := func(r Run, do func(layout.Place)) {
		for i := range r.words {
			do(layout.Place{Slab: r.slab.header.Number, Word: r.word + i})
		}
	}
	var slabs int
	for n := range 20_000 {
		r := placed(t, p, family, 1+rand.N(20))
		if r.word%uint32(layout.CellAlignment(int(r.words))) != 0 {
			t.Fatalf("%d cells at word %d", r.words, r.word)
		}
		cells(r, func(at layout.Place) {
			if used[at] {
				t.Fatalf("cell %v belongs to two series", at)
			}
			used[at] = true
		})
		living = append(living, r)
		if len(living) > 100 {
			i := rand.N(len(living))
			cells(living[i], func(at layout.Place) { delete(used, at) })
			for !p.AppendGone(living[i], 1) {
				grow(t, p)
			}
			p.Free(living[i])
			living[i] = living[len(living)-1]
			living = living[:len(living)-1]
		}
		if err := p.Recycle(time.Now(), 0); err != nil {
			t.Fatal(err)
		}
		if n == 5000 {
			slabs = p.cells.current.body()
		}
	}
	if got := p.cells.current.body(); got > 2*slabs { // sizes are drawn: a few more may be needed
		t.Errorf("the slabs of cells grew to %d bytes, they had %d", got, slabs)
	}
}
