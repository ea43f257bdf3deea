package merge

import (
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// share adds a share of a deleted series, of a family that the peer has or has not.
func (w *world) share(x *peer, f *layout.Family, labels []string, cells ...uint64) {
	w.m.Extend(x.member, []*layout.Family{f}, []Input{{Family: x.count, Values: labels, Created: x.member.Start, At: len(x.cells), Share: true}})
	x.count++
	x.cells = append(x.cells, cells...)
}

// absorb puts a dead peer into a ledger, and the ledger into the merger.
func (w *world) absorb(l *Ledger, x *peer, now int64) {
	w.leave(x)
	l.Absorb(x.member.Process, familiesOf(x), x.member.inputs, x.cells, nil, now)
	w.m.Carry(l)
}

func familiesOf(x *peer) (all []*layout.Family) {
	for _, d := range x.member.defs {
		all = append(all, d.family)
	}
	return all
}

// A share of a deleted series is merged while a living process, or an account of the dead, has the
// series; no process shows a series of shares alone.
func TestShareIsMergedWhileOthersHaveTheSeries(t *testing.T) {
	for _, c := range []struct {
		name  string
		f     *layout.Family
		cells []uint64
		value func(n float64) values
	}{
		{name: "counter", f: counterOf("c", "l"), cells: counterCells(1), value: func(n float64) values { return values{"c{l=x}": n} }},
		{name: "histogram", f: with(*histogramOf("h", 1), func(f *layout.Family) { f.LabelNames = []string{"l"} }), cells: histogramCells(1, 1, 0), value: func(n float64) values {
			return values{"h{l=x}_count": n, "h{l=x}_sum": n, "h{l=x}_le_1": n, "h{l=x}_le_+Inf": 0}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, l := newWorld(t), NewLedger()
			deleted, other := w.join(start(1, "p")), w.join(start(2, "q"))
			w.share(deleted, c.f, []string{"x"}, c.cells...)
			w.check("nobody has the series", nil)
			w.define(other, c.f, []string{"x"}, c.cells...)
			w.check("another process has the series", c.value(2))
			w.m.Remove(other.member, 0)
			w.check("the other process has deleted the series for good", nil)
			third := w.define(w.join(start(3, "r")), c.f, []string{"x"}, c.cells...)
			w.check("a third process has the series", c.value(2))
			w.m.SetLive(third.member, false)
			w.check("the third process is dead", c.value(2))
			w.absorb(l, third, 9)
			w.check("the third process is absorbed", c.value(2))
			w.m.SetLive(deleted.member, false)
			w.check("the first process is dead", c.value(2))
			w.absorb(l, deleted, 9)
			w.check("the first process is absorbed", c.value(2))
		})
	}
}

// A share of a dead process is kept in the ledger, hidden, for as long as a living process has the
// series.
func TestShareOfTheDead(t *testing.T) {
	w, l, f := newWorld(t), NewLedger(), counterOf("c", "l")
	deleted := w.join(start(1, "p"))
	w.share(deleted, f, []string{"x"}, counterCells(5)...)
	w.share(deleted, f, []string{"y"}, counterCells(7)...)
	w.absorb(l, deleted, 9)
	w.check("nobody has the series", nil)
	other := w.define(w.join(start(2, "q")), f, []string{"x"}, counterCells(1)...)
	w.check("another process has a series", values{"c{l=x}": 6})
	living := Living{}
	living.Add(familiesOf(other), other.member.inputs)
	if !l.Aged(1, 100) {
		t.Error("nobody would look for shares that can be dropped")
	}
	if n := l.Forget(1, 100, living); n != 0 || l.Series() != 1 {
		t.Errorf("%d series are forgotten, %d left, want 0 and 1: nobody saw the series of the share", n, l.Series())
	}
	l.Touch(living, 99)
	w.m.Carry(l)
	w.check("the other share is forgotten", values{"c{l=x}": 6})
	w.leave(other)
	w.check("the other process has left", nil)
	last := w.define(w.join(start(3, "r")), f, []string{"x"}, counterCells(2)...)
	w.m.SetLive(last.member, false)
	w.absorb(l, last, 10)
	w.check("a dead process had the series", values{"c{l=x}": 7})
}

// A share has no say: help, type and mode come from those that have series. A share of other
// buckets makes the sum coarser, and exact.
func TestShareHasNoSay(t *testing.T) {
	w := newWorld(t)
	older := w.define(w.join(start(1, "p")), histogramOf("h", 1, 2), nil, histogramCells(1, 1, 0, 0)...)
	newer := w.join(start(2, "q"))
	w.share(newer, with(*histogramOf("h", 1), func(f *layout.Family) { f.Help = "other" }), nil, histogramCells(1, 1, 0)...)
	w.check("other buckets", values{"h_count": 2, "h_sum": 2, "h_le_1": 2, "h_le_+Inf": 0})
	if got := w.m.Families()[0].Help; got != "h" {
		t.Errorf("help %q is that of the share", got)
	}
	w.share(newer, counterOf("h"), nil, counterCells(100)...)
	w.check("another type", values{"h_count": 2, "h_sum": 2, "h_le_1": 2, "h_le_+Inf": 0})
	w.leave(older)
	w.check("shares alone", nil)
}

// A family whose series all left has no say any more: the same process may have another family of
// the name.
func TestFormerTypeHasNoSay(t *testing.T) {
	all := []*layout.Family{
		counterOf("x"), gaugeFamily("x", layout.LiveSum), histogramOf("x", 1),
		{Type: layout.Summary, Name: "x", Help: "h"},
		with(*gaugeFamily("x", layout.LiveSum), func(f *layout.Family) { f.Type = layout.Untyped }),
		with(*histogramOf("x", 1), func(f *layout.Family) { f.Type = layout.NativeHistogram }),
	}
	for _, former := range all {
		for _, now := range all {
			w := newWorld(t)
			x := w.define(w.join(start(1, "p")), former, nil, make([]uint64, former.ValueWords())...)
			w.sum()
			w.m.Remove(x.member, 0)
			w.sum()
			w.define(x, now, nil, make([]uint64, now.ValueWords())...)
			w.sum()
			fresh := newWorld(t)
			fresh.define(fresh.join(start(1, "p")), now, nil, make([]uint64, now.ValueWords())...)
			fresh.sum()
			if got, want := w.m.Families(), fresh.m.Families(); len(got) != 1 || got[0].Type != want[0].Type {
				t.Errorf("%v after %v: %d families, want one", now.Type, former.Type, len(got))
			}
		}
	}
}

// A vec without series has a say: its help is that of the newest process.
func TestFamilyWithoutSeriesHasASay(t *testing.T) {
	w := newWorld(t)
	w.define(w.join(start(1, "p")), counterOf("c", "l"), []string{"x"}, counterCells(1)...)
	w.m.Extend(w.join(start(2, "q")).member, []*layout.Family{with(*counterOf("c", "l"), func(f *layout.Family) { f.Help = "newer" })}, nil)
	w.check("one", values{"c{l=x}": 1})
	if got := w.m.Families()[0].Help; got != "newer" {
		t.Errorf("help %q, want that of the newest process", got)
	}
}
