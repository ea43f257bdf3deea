package foreign

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"
)

// history is what a series should show: all that its collectors counted before a look saw them
// last, and whether a collector shows the series.
type history struct {
	base, seen float64 // of earlier collectors, and of the present one as last seen
	now        float64 // of the present collector
	shown      bool
	left       bool // the collector was unregistered, and nobody has shown the series since
}

// Whatever collectors come, go, delete their series and make them again, each count that a look saw
// is shown once.
func TestRandomCollectors(t *testing.T) {
	runs := 300
	if testing.Short() {
		runs = 30
	}
	seed := rand.Uint64()
	for run := range runs {
		if !randomCollectors(t, rand.New(rand.NewPCG(seed, uint64(run)))) {
			t.Fatalf("seed %d, run %d", seed, run)
		}
	}
}

func randomCollectors(t *testing.T, r *rand.Rand) bool {
	w := newWorld(t)
	series := map[string]*history{}
	of := func(l string) *history {
		if series[l] == nil {
			series[l] = &history{}
		}
		return series[l]
	}
	var vec *prometheus.CounterVec
	var registered prometheus.Collector
	wrapped := r.IntN(2) == 0
	register := func() {
		registered = vec
		if wrapped {
			registered = prometheus.WrapCollectorWith(prometheus.Labels{"z": "z"}, vec)
		}
		w.add(registered)
	}
	fresh := func() {
		vec = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"l"})
		register()
		vec.WithLabelValues("z").Inc()
		of("z").now++
	}
	// look is what a look at the collector changes.
	look := func() {
		for _, h := range series {
			if h.now > 0 {
				h.seen, h.shown, h.left = h.now, true, false
			} else if h.shown {
				h.shown = false
			}
		}
	}
	// restart notes that the present counter of a series ends.
	restart := func(h *history) {
		h.base, h.seen, h.now = h.base+h.seen, 0, 0
	}
	twice := func() { // from the third look on a look knows that the metrics of the vec stay the same
		look()
		w.values()
		w.values()
	}
	fresh()
	twice()
	for step := range 40 {
		l := string("abc"[r.IntN(3)])
		what := ""
		switch op := r.IntN(10); {
		case op < 4:
			n := float64(1 + r.IntN(3))
			vec.WithLabelValues(l).Add(n)
			of(l).now += n
			what = "add"
		case op < 6:
			if vec.DeleteLabelValues(l) {
				restart(of(l))
			}
			what = "delete"
		case op < 7:
			for _, l := range []string{"a", "b", "c"} {
				if vec.DeleteLabelValues(l) {
					restart(of(l))
				}
			}
			what = "delete all"
		case op < 9:
			look() // the last
			w.m.Remove(registered)
			for _, h := range series {
				if h.shown {
					h.shown, h.left = false, true
				}
			}
			if op < 8 {
				register() // the same one again, perhaps wrapped anew
				twice()
			} else {
				for _, h := range series {
					restart(h)
				}
				fresh()
				twice()
			}
			what = "unregister"
		}
		if r.IntN(3) == 0 && (!wrapped || what == "add") {
			continue // a wrapped metric does not tell that it is another one
		}
		look()
		want := map[string]float64{}
		for l, h := range series {
			name := "c_total/" + l
			if wrapped {
				name += "/z"
			}
			switch v := h.base + h.seen; {
			case v == 0:
			case h.shown || h.left:
				want[name] = v
			default:
				want[name+"(deleted)"] = v
			}
		}
		got := w.values()
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("step %d, after %s, wrapped %v: (-want +got)\n%s\n%v", step, what, wrapped, diff, histories(series))
			return false
		}
	}
	return true
}

func histories(all map[string]*history) (text string) {
	for l := range maps.Keys(all) {
		text += fmt.Sprintf("%s %+v\n", l, *all[l])
	}
	return text
}
