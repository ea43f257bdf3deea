package merge

import (
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// A label without a value is no label: series that differ in such a label are one series, of
// living processes, of dead processes, and of the ledger.
func TestEmptyLabelIsAbsent(t *testing.T) {
	empty := []layout.Label{{Name: "zone", Value: ""}}
	for _, c := range []struct {
		name     string
		old, now *layout.Family
		values   [2][]string
		want     string // the series that both have
	}{
		{name: "one label more", old: counterOf("c", "dev"), now: counterOf("c", "dev", "fs"), values: [2][]string{{"sda"}, {"sda", ""}}, want: "c{dev=sda}"},
		{name: "one label less", old: counterOf("c", "dev", "fs"), now: counterOf("c", "dev"), values: [2][]string{{"sda", ""}, {"sda"}}, want: "c{dev=sda}"},
		{name: "other labels", old: counterOf("c", "a"), now: counterOf("c", "b"), values: [2][]string{{""}, {""}}, want: "c"},
		{name: "a const label", old: counterOf("c", "dev"), now: with(*counterOf("c", "dev"), func(f *layout.Family) { f.ConstLabels = empty }), values: [2][]string{{"sda"}, {"sda"}}, want: "c{dev=sda}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, l := newWorld(t), NewLedger()
			x := w.define(w.join(start(1, "p")), c.old, c.values[0], counterCells(2)...)
			w.sum()
			y := w.define(w.join(start(2, "q")), c.now, c.values[1], counterCells(1)...)
			w.check("both live", values{c.want: 3})
			w.m.SetLive(x.member, false)
			w.absorb(l, x, 9)
			w.check("the older is absorbed", values{c.want: 3})
			living := Living{}
			living.Add([]*layout.Family{c.now}, y.member.inputs)
			if n := l.Forget(10, 0, living); n != 0 {
				t.Errorf("%d series are forgotten that a living process has", n)
			}
			w.m.SetLive(y.member, false)
			w.absorb(l, y, 9)
			w.check("both are absorbed", values{c.want: 3})
		})
	}
}

// Where all definitions have the same labels, a label without a value is shown as client_golang
// shows the label.
func TestEmptyLabelIsShownIfAllDefinitionsHaveIt(t *testing.T) {
	w := newWorld(t)
	x := w.define(w.join(start(1, "p")), counterOf("c", "dev", "fs"), []string{"sda", ""}, counterCells(2)...)
	w.check("one definition", values{"c{dev=sda,fs=}": 2})
	y := w.define(w.join(start(2, "q")), counterOf("c", "dev"), []string{"sda"}, counterCells(1)...)
	w.check("another definition", values{"c{dev=sda}": 3})
	w.leave(y)
	w.check("one definition again", values{"c{dev=sda,fs=}": 2})
	w.leave(x)
	w.define(w.join(start(3, "r")), counterOf("c", "fs", "dev"), []string{"", "sda"}, counterCells(4)...)
	w.check("the same labels in another order", values{"c{dev=sda,fs=}": 4})
}
