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

// Family is a merged family, with its conflicting definitions.
type Family struct {
	Name      string
	Help      string
	Unit      string
	Type      layout.Type
	Mode      layout.Mode // zero: values are summed up
	Bounds    []float64
	Series    int // merged
	Processes int // processes with the family
	Archived  bool
	Conflicts []Conflict

	merged *merge.Family  // nil: none of its values is merged
	newest *layout.Family // definition of the newest process
}

// Conflict is a definition, of a process or of the archive, that differs from the definition in
// force.
type Conflict struct {
	Family  string
	Process string // name of the file; empty: the archive
	Reason  merge.Reason
	Theirs  string // text of the conflicting definition
	Ours    string // text of the definition in force
	LeftOut bool   // the values are not merged
}

// families describes the merged families, and the families without merged values.
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
				return nil // a live mode, and only dead processes: no values
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

// votes reports whether a definition of a process has a say, by the rule of the merger: of a dead
// process only definitions with values to merge have a say.
func (p *Process) votes(i int) bool {
	return p.seen.Live || p.Series[i] > 0 && !p.Definitions[i].Mode.Live()
}

// newest returns the definition of each family in the newest process. The newest definition
// decides.
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

// conflicts compares a definition with the definition in force.
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

// joins reports whether values of family d are merged into family w, by type. A native histogram
// can be merged into a histogram by its classic buckets.
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

// Why says what decided about the rule: the type of the family, the name, or the process by a mode
// of its own.
func (f *Family) Why() string {
	r := merge.RuleFor(f.Type, f.Name)
	switch {
	case f.Mode != r.Mode && f.Type.Cumulative():
		return "set by the process"
	case f.Mode != r.Mode:
		return fmt.Sprintf("set by the process; without a setting it would be %v", r.Mode)
	case r.Named:
		return "by name: " + r.Reason
	}
	return "by type: " + r.Reason
}

// OtherRule says how to set another rule, and is empty for a type without modes.
func (f *Family) OtherRule() string {
	switch f.Type {
	case layout.Gauge:
		return fmt.Sprintf("store.Opts.Modes[%q] for the gauge of a library, an argument of NewGauge for an own gauge", f.Name)
	case layout.Counter, layout.Untyped:
		return fmt.Sprintf("store.Opts.Modes[%q], if a library shows the family", f.Name)
	}
	return ""
}

// Kind is the type, with the mode if the family has a mode.
func (f *Family) Kind() string { return Kind(f.Type, f.Mode) }

// Kind is a type, with the mode if m is valid.
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
