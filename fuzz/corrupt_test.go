//go:build unix

package fuzz

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/damage"
	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
)

// Whatever becomes of a file, it costs nobody else anything: a scrape
// answers, in time and with little memory, with the exact values of the others,
// and an absorption gets over it.
func TestDamagedFileAmongOthers(t *testing.T) {
	seeds := effort.Rounds(20, 200, 1000)
	for _, c := range damage.Classes {
		t.Run(c.Name, func(t *testing.T) {
			w := newWorld(t)
			outcomes := map[string]int{}
			for seed := range seeds {
				content := c.Do(rand.New(rand.NewPCG(uint64(seed), 1)), slices.Clone(w.sound))
				outcomes[w.survive(content)]++
				if t.Failed() {
					t.Fatalf("seed %d, bytes in %s", seed, w.keep(content))
				}
			}
			t.Logf("%d seeds: %v", seeds, outcomes)
		})
	}
}

// FuzzDirectory lets the fuzzer change a file, which then is scraped and
// absorbed. Its input is a script for damage.Perform.
func FuzzDirectory(f *testing.F) {
	w := newWorld(f)
	for _, script := range [][]byte{
		nil,
		damage.Write(16<<8, 1, 2, 3, 4),
		damage.Cut(32 << 8),
		damage.Meta(16, 3),
		damage.Record(layout.AppendSeries(nil, &layout.Series{Number: 9, Values: []string{"x"}})),
		damage.Record(layout.AppendFamily(nil, 9, &layout.Family{Type: layout.Counter, Name: "other_total"})),
		damage.Record(layout.AppendGone(nil, layout.Gone{Series: 0})),
		damage.Record(layout.AppendSeries(nil, &layout.Series{Number: 9, Place: layout.Place{Slab: 1, Word: 100}, Values: []string{"x"}})),
	} {
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		w := *w
		w.t = t
		w.survive(damage.Perform(script, slices.Clone(w.sound)))
	})
}
