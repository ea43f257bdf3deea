package merge

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// Family is a merged family. Help, unit, type and mode come from the newest process with the
// family.
type Family struct {
	Name   string
	Help   string
	Unit   string
	Type   layout.Type
	Mode   layout.Mode
	Bounds []float64 // of a histogram: the bounds shared by all layouts

	Series []*Series

	// names are the label names of all definitions, or mixedNames: then no series shows a label
	// without a value, because another definition may have the series without the label.
	names string
}

// mixedNames stands for different label names. 0xff is in no UTF-8 text.
const mixedNames = "\xff"

// counter reports whether the values of the family are summed up in the Merger.
func (f *Family) counter() bool { return f.Type == layout.Counter && !f.Mode.Valid() }

// Reason says how the definitions of processes conflict.
type Reason string

// The reasons. With Type, Suffix and some Mode conflicts the values of the losers are not merged;
// otherwise all values are merged.
const (
	// TypeConflict: one name, two types. The losers are not merged.
	TypeConflict Reason = "type"
	// ModeConflict: two gauge modes. The newest mode merges the values. Two kinds of values are
	// not merged: values without a time if the newest mode needs a time, and series with their own
	// label "process" if the newest mode adds the label.
	ModeConflict Reason = "mode"
	// HelpConflict: two help texts or units.
	HelpConflict Reason = "help"
	// LabelsConflict: two sets of label names. Both are exposed.
	LabelsConflict Reason = "labels"
	// BucketsConflict: two bucket layouts. Only the shared bounds are kept, because their counts
	// are exact. If the newest process has no native buckets, no native buckets are merged.
	BucketsConflict Reason = "buckets"
	// SuffixConflict: the name is also the name of a sample of a histogram or summary. The loser is
	// not merged.
	SuffixConflict Reason = "suffix"
)

// Conflict is a definition that is not in force.
type Conflict struct {
	Family string
	Reason Reason
	Detail string // tells the conflicts of one family and reason apart
}

// name has all definitions of one name.
type name struct {
	defs   []*definition
	merged *Family // in force since the last decision; nil if none
}

// definition is one wording of a family, shared by all processes with the same wording.
type definition struct {
	family *layout.Family
	key    string // the wording, unique

	users  int     // members and accounts with the definition
	voters int     // users with a say in the choice of the definition in force
	shared bool    // some user has a share of a deleted series
	newest rank    // of the voters
	merged *Family // nil: not merged
	// buckets maps own buckets to merged buckets; nil if both are the same.
	buckets []int

	inForce *layout.Family // the definition in force under the name, after a decision with a say
	reasons []Reason       // conflicts with inForce

	decided bool // last is valid
	last    verdict
}

// takes reports whether values of this definition are merged, for a living or a dead process. Two
// kinds of gauges of dead processes are not merged: a gauge with a live mode, its own or the
// merged mode; and a gauge that would get its own sample without being All, because the sample
// would never go away.
func (d *definition) takes(live bool) bool {
	if d.merged == nil || live {
		return d.merged != nil
	}
	own, merged := d.family.Mode, d.merged.Mode
	return !own.Live() && !merged.Live() && (own.PerProcess() || !merged.PerProcess())
}

// met notes a process that has the definition and a say.
func (d *definition) met(r rank) {
	if d.voters == 0 || d.newest.compare(r) < 0 {
		d.newest = r
	}
	d.voters++
}

// vote finds the definitions of a member that have a say: the definitions with series. A family of
// a living process has a say before the family has a series too, but not after the last series
// left: the process may have another definition by then. Of a dead process only definitions with
// values to merge have a say: an absorption keeps only these definitions, and otherwise the
// absorption could bring another definition into force.
func (mb *Member) vote() {
	mb.votes = make([]bool, len(mb.defs))
	had := make([]bool, len(mb.defs))
	for _, in := range mb.inputs {
		had[in.Family] = true
		if !in.Gone && !in.Share && (mb.Live || !mb.defs[in.Family].family.Mode.Live()) {
			mb.votes[in.Family] = true
		}
	}
	for i := range had {
		mb.votes[i] = mb.votes[i] || mb.Live && !had[i]
	}
}

// verdict is the part of a decision about a definition that places series.
type verdict struct {
	in      bool
	buckets []int
}

func (v verdict) equal(w verdict) bool { return v.in == w.in && slices.Equal(v.buckets, w.buckets) }

// rank orders processes by start: the newest decides.
type rank struct {
	start int64
	id    layout.ID
}

func (a rank) compare(b rank) int {
	return cmp.Or(cmp.Compare(a.start, b.start), slices.Compare(a.id[:], b.id[:]))
}

// decide applies the rules to every name and reports whether any series has to be placed again.
func (m *Merger) decide() bool {
	for _, d := range m.defs {
		d.users, d.voters, d.shared, d.newest = 0, 0, false, rank{}
	}
	for mb := range m.members {
		mb.vote()
		for i, d := range mb.defs {
			d.users++
			if mb.votes[i] {
				d.met(rank{mb.Start, mb.ID})
			}
		}
		for _, i := range mb.shares.inputs {
			in := &mb.inputs[i]
			mb.defs[in.Family].shared = mb.defs[in.Family].shared || !in.Gone
		}
	}
	for _, c := range m.carried {
		c.def.users++
		counts, shares := c.holds()
		if counts {
			c.def.met(c.newest)
		}
		c.def.shared = c.def.shared || shares
	}
	var inForce []*definition
	changed := false
	names := make([]string, 0, len(m.names))
	for n := range m.names {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, key := range names {
		n := m.names[key]
		winner, moved := m.decideName(n)
		changed = changed || moved
		if winner != nil {
			inForce = append(inForce, winner)
		}
		if len(n.defs) == 0 {
			delete(m.names, key)
		}
	}
	m.decideSuffixes(inForce)
	m.collectConflicts(inForce)
	for key, d := range m.defs {
		if d.users == 0 {
			delete(m.defs, key)
			continue
		}
		if d.voters == 0 && !d.shared {
			d.decided = false // no input of the definition is or can be placed
			continue
		}
		if now := (verdict{d.merged != nil, d.buckets}); !now.equal(d.last) {
			changed = changed || d.decided
			d.last = now
		}
		d.decided = true
	}
	return changed
}

// decideName finds the definition in force under a name, and fits all other definitions.
func (m *Merger) decideName(n *name) (winner *definition, changed bool) {
	n.defs = slices.DeleteFunc(n.defs, func(d *definition) bool { return d.users == 0 })
	var voted, shared []*definition
	for _, d := range n.defs {
		d.merged, d.inForce, d.reasons = nil, nil, nil
		switch {
		case d.voters > 0:
			voted = append(voted, d)
		case d.shared:
			shared = append(shared, d)
		}
	}
	if len(voted) == 0 {
		n.merged = nil // no member has an input placed under the name
		return nil, false
	}
	// One process may have two wordings of a name, with different const labels. Between the two the
	// text decides, not the order of reading.
	slices.SortFunc(voted, func(a, b *definition) int {
		return cmp.Or(b.newest.compare(a.newest), strings.Compare(a.key, b.key))
	})
	winner = voted[0]
	voted = append(voted, shared...) // without a say
	w := winner.family
	next := &Family{Name: w.Name, Help: w.Help, Unit: w.Unit, Type: w.Type, Mode: w.Mode, Bounds: w.Bounds, names: labelNames(w)}
	for _, d := range voted {
		if joins(d.family, w) && w.Type.Bucketed() {
			next.Bounds = common(next.Bounds, d.family.Bounds)
		}
		if labelNames(d.family) != next.names {
			next.names = mixedNames
		}
	}
	for _, d := range voted {
		d.fit(w, next)
	}
	if old := n.merged; old != nil && old.Type == next.Type && old.Mode == next.Mode && old.names == next.names && slices.Equal(old.Bounds, next.Bounds) {
		// The rules are the same: the series of the family stay.
		old.Help, old.Unit = next.Help, next.Unit
		for _, d := range voted {
			if d.merged != nil {
				d.merged = old
			}
		}
		return winner, false
	}
	changed = n.merged != nil // otherwise the name has no series yet
	n.merged = next
	return winner, changed
}

// fit compares a definition with the definition in force, and finds out whether and how the values
// can be merged.
func (d *definition) fit(w *layout.Family, merged *Family) {
	f := d.family
	d.merged, d.buckets, d.inForce = nil, nil, w
	conflict := func(r Reason) { d.reasons = append(d.reasons, r) }
	if !joins(f, w) {
		conflict(TypeConflict)
		return
	}
	if f.Type != w.Type || !slices.Equal(f.Bounds, w.Bounds) {
		conflict(BucketsConflict)
	}
	if f.Help != w.Help || f.Unit != w.Unit {
		conflict(HelpConflict)
	}
	if labelNames(f) != labelNames(w) {
		conflict(LabelsConflict)
	}
	if f.Mode != w.Mode {
		conflict(ModeConflict)
		if w.ByMode() != f.ByMode() || w.Mode.Timed() != f.Mode.Timed() || w.Mode.PerProcess() && hasLabel(f, layout.ProcessLabel) {
			return
		}
	}
	d.merged = merged
	if f.Type.Bucketed() && !slices.Equal(f.Bounds, merged.Bounds) {
		d.buckets = project(f.Bounds, merged.Bounds)
	}
}

// collectConflicts lists the conflicts of all definitions, each once.
func (m *Merger) collectConflicts(inForce []*definition) {
	m.conflicts = m.conflicts[:0]
	listed := map[Conflict]bool{}
	for _, winner := range inForce {
		for _, d := range m.names[winner.family.Name].defs {
			for _, r := range d.reasons {
				c := Conflict{Family: d.family.Name, Reason: r, Detail: d.detail(r)}
				if !listed[c] {
					listed[c] = true
					m.conflicts = append(m.conflicts, c)
				}
			}
		}
	}
}

// detail tells the conflicts of one family and reason apart.
func (d *definition) detail(r Reason) string {
	switch r {
	case TypeConflict:
		return d.family.Type.String()
	case BucketsConflict:
		if d.family.Type != d.inForce.Type {
			return d.family.Type.String()
		}
	case HelpConflict:
		return d.family.Help
	case LabelsConflict:
		return labelNames(d.family)
	case ModeConflict:
		return d.family.Mode.String()
	case SuffixConflict:
		return d.inForce.Type.String()
	}
	return ""
}

// joins reports whether values of family f can be merged into family w, by type. A native
// histogram with classic buckets can be merged into a histogram, by the classic buckets. A
// histogram cannot be merged into a native histogram: the native buckets would lack observations,
// and Prometheus refuses such a histogram.
func joins(f, w *layout.Family) bool {
	return f.Type == w.Type || f.Type == layout.NativeHistogram && w.Type == layout.Histogram && len(f.Bounds) > 0
}

// hasLabel reports whether a family already has the label: a sample must not have a label twice.
func hasLabel(f *layout.Family, name string) bool {
	return slices.Contains(f.LabelNames, name) ||
		slices.ContainsFunc(f.ConstLabels, func(l layout.Label) bool { return l.Name == name })
}

func labelNames(f *layout.Family) string {
	names := slices.Clone(f.LabelNames)
	for _, l := range f.ConstLabels {
		names = append(names, l.Name)
	}
	sort.Strings(names)
	return strings.Join(names, ",")
}

// common returns the bounds of both slices.
func common(a, b []float64) []float64 {
	var shared []float64
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] < b[j]:
			i++
		case a[i] > b[j]:
			j++
		default:
			shared = append(shared, a[i]+0) // of -0 and 0 always 0: two texts would be two series
			i++
			j++
		}
	}
	return shared
}

// project maps each bucket, +Inf included, to the first merged bucket whose bound is not below the
// own bound. Every merged bound is also an own bound, so no observation crosses a merged bound.
func project(own, merged []float64) []int {
	to := make([]int, len(own)+1)
	for i, bound := range own {
		to[i] = sort.SearchFloat64s(merged, bound)
	}
	to[len(own)] = len(merged)
	return to
}

// decideSuffixes takes a family out of force if its name is also the name of a sample of a
// histogram or summary. The newest definition stays; among equals the definition with the shorter
// name stays.
func (m *Merger) decideSuffixes(inForce []*definition) {
	slices.SortStableFunc(inForce, func(a, b *definition) int { return b.newest.compare(a.newest) })
	samples := make(map[string]bool, len(inForce))
	for _, winner := range inForce {
		own := SampleNames(winner.family.Name, winner.family.Type)
		if !slices.ContainsFunc(own, func(s string) bool { return samples[s] }) {
			for _, s := range own {
				samples[s] = true
			}
			continue
		}
		for _, d := range m.names[winner.family.Name].defs {
			if d.inForce != nil {
				d.merged, d.reasons = nil, []Reason{SuffixConflict}
			}
		}
	}
}

// SampleNames are the names of the samples of a family, and the name of the family: a scrape
// cannot hold a histogram and a gauge of the same name.
func SampleNames(name string, t layout.Type) []string {
	switch t {
	case layout.Histogram, layout.NativeHistogram:
		return []string{name, name + "_bucket", name + "_count", name + "_sum"}
	case layout.Summary:
		return []string{name, name + "_count", name + "_sum"}
	}
	return []string{name}
}
