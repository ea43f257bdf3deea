package inspect

import (
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

	merged *merge.Family // nil: none of its values is merged
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

// Who names the process, or the archive.
func (c *Conflict) Who() string {
	if c.Process == "" {
		return "the archive"
	}
	return c.Process
}

// families describes the merged families, and the families with values that are left out, by the
// decisions of the merger.
func (s *Survey) families() {
	byName := map[string]*Family{}
	add := func(f *Family) *Family {
		byName[f.Name] = f
		s.Families = append(s.Families, f)
		return f
	}
	for _, m := range s.inspector.merger.Families() {
		add(&Family{Name: m.Name, Help: m.Help, Unit: m.Unit, Type: m.Type, Mode: m.Mode, Bounds: m.Bounds, Series: len(m.Series), merged: m})
	}
	meet := func(process string, d merge.Standing) *Family {
		f, w := byName[d.Family.Name], d.InForce
		if f == nil {
			if !d.LeftOut {
				return nil // without a series
			}
			f = add(&Family{Name: w.Name, Help: w.Help, Unit: w.Unit, Type: w.Type, Mode: w.Mode, Bounds: w.Bounds})
		}
		f.Conflicts = append(f.Conflicts, conflicts(process, d)...)
		return f
	}
	for _, p := range s.Processes {
		if !p.Contributes() {
			continue
		}
		met := map[*Family]bool{}
		for _, d := range s.inspector.scanner.Standings(p.seen) {
			if f := meet(p.Name, d); f != nil && !met[f] {
				met[f] = true
				f.Processes++
			}
		}
	}
	for _, d := range s.inspector.merger.CarriedStandings() {
		if f := meet("", d); f != nil {
			f.Archived = true
		}
	}
	sort.Slice(s.Families, func(i, j int) bool { return s.Families[i].Name < s.Families[j].Name })
}

// conflicts are the conflicts of a definition with the definition in force, with the texts of
// both.
func conflicts(process string, d merge.Standing) (all []Conflict) {
	theirs, ours := d.Family, d.InForce
	for _, r := range d.Reasons {
		add := func(theirs, ours string) {
			all = append(all, Conflict{Family: d.Family.Name, Process: process, Reason: r, Theirs: theirs, Ours: ours, LeftOut: d.LeftOut})
		}
		switch r {
		case merge.TypeConflict:
			add(theirs.Type.String(), ours.Type.String())
		case merge.SuffixConflict:
			add(theirs.Type.String(), "")
		case merge.ModeConflict:
			add(modeText(theirs.Mode), modeText(ours.Mode))
		case merge.HelpConflict:
			if theirs.Help != ours.Help {
				add(theirs.Help, ours.Help)
			}
			if theirs.Unit != ours.Unit {
				add(theirs.Unit, ours.Unit)
			}
		case merge.LabelsConflict:
			add(labelsText(theirs), labelsText(ours))
		case merge.BucketsConflict:
			if theirs.Type != ours.Type {
				add(theirs.Type.String(), ours.Type.String())
			} else {
				add(boundsText(theirs.Bounds), boundsText(ours.Bounds))
			}
		}
	}
	return all
}

func labelsText(d *layout.Family) string {
	names := slices.Clone(d.LabelNames)
	for _, l := range d.ConstLabels {
		names = append(names, l.Name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
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
