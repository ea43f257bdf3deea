package merge

import (
	"fmt"
	"math"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

func TestCumulativeTypesAdd(t *testing.T) {
	summary := &layout.Family{Type: layout.Summary, Name: "s", Help: "h"}
	half := math.Float64bits(0.5)
	for _, order := range orders {
		w := newWorld(t)
		for _, i := range order {
			p := start(int64(i+1), "p")
			p.Live = i != 2 // the dead stay in the total
			x := w.join(p)
			w.define(x, counterOf("c"), nil, uint64(1)<<62, half)
			w.define(x, histogramOf("h", 1, 2), nil, histogramCells(float64(i), uint64(i), 1, 0)...)
			w.define(x, summary, nil, uint64(i), math.Float64bits(0.1))
		}
		w.check("three", values{
			"c": 3 * math.Ldexp(1, 62), "h_count": 6, "h_sum": 3, "h_le_1": 3, "h_le_2": 3, "h_le_+Inf": 0,
			"s_count": 3, "s_sum": 0.30000000000000004,
		})
	}
}

// An empty Merger shows nothing, and so does one that everybody has left.
func TestNobody(t *testing.T) {
	w := newWorld(t)
	w.check("empty", nil)
	x := w.define(w.join(start(1, "p")), counterOf("c", "a"), []string{"x"}, counterCells(3)...)
	w.check("one", values{"c{a=x}": 3})
	w.leave(x)
	w.check("left", nil)
	if n := len(w.m.Families()); n != 0 {
		t.Errorf("%d families of nobody", n)
	}
	w.define(w.join(start(1, "p")), counterOf("c", "a"), []string{"x"}, counterCells(4)...)
	w.check("back", values{"c{a=x}": 4})
}

// A member of which nothing is known yet takes no part, and disturbs nobody.
func TestMemberWithoutFamilies(t *testing.T) {
	w := newWorld(t)
	w.define(w.join(start(1, "p")), counterOf("c"), nil, counterCells(3)...)
	empty := w.join(start(2, "q"))
	w.check("with it", values{"c": 3})
	w.leave(empty)
	w.check("without it", values{"c": 3})
}

// What a caller keeps in a Series stays there while nothing but values and
// unrelated series change.
func TestSeriesAreKept(t *testing.T) {
	w := newWorld(t)
	w.define(w.join(start(1, "p")), counterOf("c"), nil, counterCells(3)...)
	w.sum()
	kept := w.m.Families()[0].Series[0]
	kept.Cache = "mine"
	other := w.define(w.join(start(2, "q")), counterOf("c"), nil, counterCells(3)...)
	w.sum()
	if w.m.Families()[0].Series[0] != kept {
		t.Error("another process of the same definition made a new series of it")
	}
	w.leave(other)
	w.sum()
	if w.m.Families()[0].Series[0] != kept || kept.Cache != "mine" {
		t.Error("its leaving made a new series of it")
	}
}

// The start timestamp is the oldest of those that take part.
func TestCreatedIsTheOldest(t *testing.T) {
	created := func(w *world) int64 {
		w.sum()
		return w.m.Families()[0].Series[0].Created
	}
	for _, order := range orders {
		w := newWorld(t)
		peers := map[int]*peer{}
		oldest := int64(math.MaxInt64)
		for _, i := range order {
			at := int64(10 * (i + 1))
			oldest = min(oldest, at)
			peers[i] = w.define(w.join(start(at, "p")), counterOf("c"), nil, counterCells(1)...)
			if got := created(w); got != oldest {
				t.Errorf("%v after %d: got %d, want %d", order, i, got, oldest)
			}
		}
		w.m.SetLive(peers[0].member, false)
		if got := created(w); got != 10 {
			t.Errorf("%v, the oldest dead: got %d, want 10", order, got)
		}
		w.leave(peers[0])
		if got := created(w); got != 20 {
			t.Errorf("%v, the oldest left: got %d, want 20", order, got)
		}
	}
}

// Hundreds of series that come in any order and in any steps stand in one
// order: world.sum checks that it is the documented one.
func TestOutputOrder(t *testing.T) {
	w := newWorld(t)
	x, y := w.join(start(1, "p")), w.join(start(2, "q"))
	n := 0
	for round := range 7 {
		for i := range 60 {
			f := counterOf(fmt.Sprintf("f%02d", (i*37+round)%13), "a", "b")
			target := x
			if i%2 == 0 {
				target = y
			}
			w.define(target, f, []string{fmt.Sprint(i * 31 % 97), fmt.Sprint(round)}, counterCells(1)...)
			n++
		}
		total := 0.0
		for _, v := range w.sum() {
			total += v
		}
		if int(total) != n {
			t.Fatalf("round %d: total %v, want %d", round, total, n)
		}
	}
}

// Inputs that are removed take no part from then on.
func TestRemove(t *testing.T) {
	w := newWorld(t)
	x := w.define(w.join(start(1, "p")), counterOf("c", "a"), []string{"x"}, counterCells(3)...)
	w.m.Extend(x.member, nil, []Input{{Family: 0, Values: []string{"y"}, Created: 5, At: 2}})
	x.cells = append(x.cells, counterCells(4)...)
	w.check("both", values{"c{a=x}": 3, "c{a=y}": 4})
	w.m.Remove(x.member, 0)
	w.check("one removed", values{"c{a=y}": 4})
	w.m.Remove(x.member, 0)
	w.check("removed twice", values{"c{a=y}": 4})
	// Its slot is free: the next series may take it, with its own value.
	w.define(x, counterOf("d"), nil, counterCells(5)...)
	w.check("another one", values{"c{a=y}": 4, "d": 5})
}

// Label values that look like separators do not make two series one.
func TestSeriesAreToldApart(t *testing.T) {
	w := newWorld(t)
	x := w.join(start(1, "p"))
	w.define(x, counterOf("c", "a", "b"), []string{"x,b=y", ""}, counterCells(1)...)
	w.define(x, counterOf("c", "a", "b"), []string{"x", "y"}, counterCells(2)...)
	w.define(x, counterOf("c", "a", "b"), []string{"", "x"}, counterCells(4)...)
	w.define(x, counterOf("c", "a", "b"), []string{"x", ""}, counterCells(8)...)
	w.define(x, counterOf("d", "a"), []string{"bc"}, counterCells(16)...)
	w.define(x, counterOf("d", "ab"), []string{"c"}, counterCells(32)...)
	w.check("six", values{"c{a=x,b=y,b=}": 1, "c{a=x,b=y}": 2, "c{a=,b=x}": 4, "c{a=x,b=}": 8, "d{a=bc}": 16, "d{ab=c}": 32})
}

// A series of the dead that was forgotten and came back has a later start
// timestamp, also to a Merger that has not seen it without.
func TestCarriedSeriesBeginsAnew(t *testing.T) {
	f := counterOf("c_total")
	ledger := func(created int64, n uint64) *Ledger {
		l := NewLedger()
		l.Absorb(start(1, "1"), []*layout.Family{f}, []Input{{Created: created}}, counterCells(n), nil, 1)
		return l
	}
	w := newWorld(t)
	for _, step := range []struct {
		created int64
		n       uint64
	}{{100, 50}, {200, 3}, {150, 7}} {
		w.m.Carry(ledger(step.created, step.n))
		w.check("carried", values{"c_total": float64(step.n)})
		if got := created(w.m)["c_total"]; got != step.created {
			t.Errorf("start timestamp %d, want %d", got, step.created)
		}
	}
	w.m.Carry(nil)
	w.check("nothing carried", nil)
}
