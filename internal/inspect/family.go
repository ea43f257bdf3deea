package inspect

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
)

// Family is a merged family, and what processes do not agree about.
type Family struct {
	Name      string
	Help      string
	Unit      string
	Type      layout.Type
	Mode      layout.Mode // zero: values are summed up
	Bounds    []float64
	Series    int // merged
	Processes int // that have it
	Archived  bool
	Conflicts []Conflict

	merged *merge.Family  // nil: all of its values are left out
	newest *layout.Family // definition of the newest process
}

// Conflict is a process, or the archive, whose definition is not the one in force.
type Conflict struct {
	Family  string
	Process string // name of the file; empty: the archive
	Reason  merge.Reason
	Theirs  string // what it says
	Ours    string // what is in force
	LeftOut bool   // its values are not merged
}

// families describes the merged families, with those that are left out as a whole.
func (s *Survey) families() {
	byName := map[string]*Family{}
	add := func(f *Family) *Family {
		byName[f.Name] = f
		s.Families = append(s.Families, f)
		return f
	}
	newest := s.newest()
	for _, m := range s.inspector.merger.Families() {
		add(&Family{newest: newest[m.Name], Name: m.Name, Help: m.Help, Unit: m.Unit, Type: m.Type, Mode: m.Mode, Bounds: m.Bounds, Series: len(m.Series), merged: m})
	}
	suffixed := map[string]bool{}
	for _, c := range s.inspector.merger.Conflicts() {
		suffixed[c.Family] = suffixed[c.Family] || c.Reason == merge.SuffixConflict
	}
	meet := func(process string, d *layout.Family) *Family {
		f := byName[d.Name]
		if f == nil {
			if !suffixed[d.Name] {
				return nil // of the dead only, in a live mode: nothing of it is shown, as it should be
			}
			f = add(&Family{Name: d.Name, Help: d.Help, Unit: d.Unit, Type: d.Type, Mode: d.Mode})
		}
		if f.merged == nil {
			f.Conflicts = append(f.Conflicts, Conflict{Family: f.Name, Process: process, Reason: merge.SuffixConflict, Theirs: d.Type.String(), LeftOut: true})
			return f
		}
		f.Conflicts = append(f.Conflicts, conflicts(f, process, d)...)
		return f
	}
	for _, p := range s.Processes {
		if !p.Contributes() {
			continue
		}
		met := map[*Family]bool{}
		for i, d := range p.Definitions {
			if !p.votes(i) {
				continue
			}
			if f := meet(p.Name, d); f != nil && !met[f] {
				met[f] = true
				f.Processes++
			}
		}
	}
	for _, a := range s.Archive.archive.Ledger.Accounts() {
		if f := meet("", a.Family); f != nil {
			f.Archived = true
		}
	}
	sort.Slice(s.Families, func(i, j int) bool { return s.Families[i].Name < s.Families[j].Name })
}

// votes reports whether a definition of a process counts, as the merger sees it: of
// the dead only those of which something is left to show.
func (p *Process) votes(i int) bool {
	return p.seen.Live || p.Series[i] > 0 && !p.Definitions[i].Mode.Live()
}

// newest are the definitions of the newest process that has each family, which
// decide.
func (s *Survey) newest() map[string]*layout.Family {
	type rank struct {
		start int64
		id    layout.ID
	}
	ranks, newest := map[string]rank{}, map[string]*layout.Family{}
	meet := func(r rank, d *layout.Family) {
		known, ok := ranks[d.Name]
		if ok && cmp.Or(cmp.Compare(known.start, r.start), slices.Compare(known.id[:], r.id[:])) > 0 {
			return
		}
		ranks[d.Name], newest[d.Name] = r, d
	}
	for _, p := range s.Processes {
		if !p.Contributes() {
			continue
		}
		for i, d := range p.Definitions {
			if p.votes(i) {
				meet(rank{p.seen.File.Header().Start, p.seen.ID}, d)
			}
		}
	}
	for _, a := range s.Archive.archive.Ledger.Accounts() {
		start, id := a.Newest()
		meet(rank{start, id}, a.Family)
	}
	return newest
}

func labelsText(d *layout.Family) string {
	names := slices.Clone(d.LabelNames)
	for _, l := range d.ConstLabels {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// conflicts compares a definition with the one in force.
func conflicts(f *Family, process string, d *layout.Family) (all []Conflict) {
	add := func(r merge.Reason, theirs, ours string, leftOut bool) {
		all = append(all, Conflict{Family: f.Name, Process: process, Reason: r, Theirs: theirs, Ours: ours, LeftOut: leftOut})
	}
	w := f.newest
	if w == nil {
		return nil
	}
	if !joins(d, w) {
		add(merge.TypeConflict, d.Type.String(), w.Type.String(), true)
		return all
	}
	if d.Mode != w.Mode {
		add(merge.ModeConflict, modeText(d.Mode), modeText(w.Mode), d.ByMode() != w.ByMode() || d.Mode.Timed() != w.Mode.Timed())
	}
	if d.Help != w.Help {
		add(merge.HelpConflict, d.Help, w.Help, false)
	}
	if d.Unit != w.Unit {
		add(merge.HelpConflict, d.Unit, w.Unit, false)
	}
	if theirs, ours := labelsText(d), labelsText(w); theirs != ours {
		add(merge.LabelsConflict, theirs, ours, false)
	}
	if d.Type != w.Type {
		add(merge.BucketsConflict, d.Type.String(), w.Type.String(), false)
	} else if !slices.Equal(d.Bounds, w.Bounds) {
		add(merge.BucketsConflict, boundsText(d.Bounds), boundsText(w.Bounds), false)
	}
	return all
}

// joins reports whether values of a family are merged into one of another type: of a
// native histogram its classic buckets, if it has any.
func joins(d, w *layout.Family) bool {
	return d.Type == w.Type || d.Type == layout.NativeHistogram && w.Type == layout.Histogram && len(d.Bounds) > 0
}

func modeText(m layout.Mode) string {
	if !m.Valid() {
		return "none"
	}
	return m.String()
}

func boundsText(bounds []float64) string {
	texts := make([]string, len(bounds))
	for i, b := range bounds {
		texts[i] = fmt.Sprint(b)
	}
	return strings.Join(texts, " ")
}

// Rule says how the values of a family are merged.
func (f *Family) Rule() string {
	if !f.Mode.Valid() {
		return "the sum over all processes, the dead too"
	}
	who := "all processes, the dead too"
	if f.Mode.Live() {
		who = "the processes that live"
	}
	switch f.Mode {
	case layout.All, layout.LiveAll:
		return "one sample for each of " + who
	case layout.Sum, layout.LiveSum:
		return "the sum over " + who
	case layout.Min, layout.LiveMin:
		return "the smallest of " + who
	case layout.Max, layout.LiveMax:
		return "the largest of " + who
	case layout.MostRecent, layout.LiveMostRecent:
		return "the value that was set last, by " + who
	}
	return "the mean of " + who
}

// Kind is the type and, where there is one, the mode.
func (f *Family) Kind() string { return Kind(f.Type, f.Mode) }

// Kind is a type and, where there is one, a mode.
func Kind(t layout.Type, m layout.Mode) string {
	if !m.Valid() {
		return t.String()
	}
	return t.String() + " " + m.String()
}

// Family returns the family of a name, nil if there is none.
func (s *Survey) Family(name string) *Family {
	i, found := slices.BinarySearchFunc(s.Families, name, func(f *Family, name string) int { return strings.Compare(f.Name, name) })
	if !found {
		return nil
	}
	return s.Families[i]
}
