package merge

import (
	"maps"
	"slices"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Standing is the decision about one definition of a contributor. Every answer about values that
// are left out comes from a Standing, so that the answers agree with a scrape.
type Standing struct {
	Family  *layout.Family // the definition
	InForce *layout.Family // the definition in force under the name
	LeftOut bool           // the values are not merged
	Reasons []Reason       // conflicts with InForce; of a definition that is left out: why
}

// Standings returns the decisions about the definitions of a member that have a say. Call
// Standings after Begin.
func (m *Merger) Standings(mb *Member) []Standing {
	var all []Standing
	for i, d := range mb.defs {
		if mb.votes[i] {
			all = append(all, d.standing(mb.Live))
		}
	}
	return all
}

// CarriedStandings returns the decisions about the definitions of the ledger that have a say. Call
// CarriedStandings after Begin.
func (m *Merger) CarriedStandings() []Standing {
	var all []Standing
	for _, key := range slices.Sorted(maps.Keys(m.carried)) {
		c := m.carried[key]
		if counts, _ := c.holds(); counts {
			all = append(all, c.def.standing(false))
		}
	}
	byID := func(a, b layout.ID) int { return slices.Compare(a[:], b[:]) }
	for _, id := range slices.SortedFunc(maps.Keys(m.dead), byID) {
		all = append(all, m.Standings(m.dead[id].Member)...)
	}
	return all
}

// Labelled reports whether a sample of the member has the label "process". Call Labelled after
// Begin.
func (m *Merger) Labelled(mb *Member) bool { return mb.needsLabel() }

// standing returns the decision about the definition, for a living or a dead process.
func (d *definition) standing(live bool) Standing {
	s := Standing{Family: d.family, InForce: d.inForce, LeftOut: !d.takes(live), Reasons: d.reasons}
	if s.LeftOut {
		// Other conflicts concern values that are merged.
		s.Reasons = slices.DeleteFunc(slices.Clone(d.reasons), func(r Reason) bool {
			return r != TypeConflict && r != ModeConflict && r != SuffixConflict
		})
	}
	return s
}
