package inspect

import (
	"cmp"
	"slices"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/selector"
)

// Cardinality has the numbers of series, families and label values.
type Cardinality struct {
	Series     int // merged
	InFiles    int // series of all processes: the series that a scrape reads
	Archived   int // series of the archive
	Families   []FamilySize
	Labels     []LabelSize
	Duplicates []Duplicate
}

// FamilySize is how much a family takes.
type FamilySize struct {
	*Family
	Matching int   // merged series that match the selector
	InFiles  int   // series of all processes
	Bytes    int64 // approximate bytes in the files: records and cells
	Samples  int   // lines of an exposition
	Labels   []LabelSize
}

// LabelSize is how many values a label has.
type LabelSize struct {
	Family  string // empty: in all families
	Name    string
	Values  int
	Largest string // value with the most series
	Share   float64
}

// Duplicate are processes with the same value of the label "process": samples of their All and
// LiveAll gauges have a suffix.
type Duplicate struct {
	Label   string
	Process []*Process
}

// Analyze counts the series that match a selector; nil matches all. Call Analyze before the next
// Read.
func (s *Survey) Analyze(sel *selector.Selector) *Cardinality {
	c := &Cardinality{Archived: s.Archive.Series}
	values := map[string]map[string]int{} // of all families, by label
	sizes := map[string]*FamilySize{}
	for _, f := range s.Families {
		if f.merged == nil {
			continue
		}
		size := &FamilySize{Family: f}
		own := map[string]map[string]int{}
		n := 0
		for _, series := range f.merged.Series {
			if !matches(sel, f, series.Labels) {
				continue
			}
			n++
			for _, l := range series.Labels {
				count(own, l)
				count(values, l)
			}
		}
		if n == 0 {
			continue
		}
		c.Series += n
		size.Matching = n
		size.Samples = n * samplesOf(f)
		size.Labels = labelSizes(f.Name, own, n)
		sizes[f.Name] = size
	}
	c.Labels = labelSizes("", values, c.Series)
	for _, p := range s.Processes {
		if p.Contributes() {
			p.measure(sel, sizes)
		}
	}
	for _, size := range sizes {
		c.InFiles += size.InFiles
		c.Families = append(c.Families, *size)
	}
	slices.SortFunc(c.Families, func(a, b FamilySize) int {
		return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Matching, a.Matching), strings.Compare(a.Name, b.Name))
	})
	c.Duplicates = duplicates(s.Processes)
	return c
}

func count(of map[string]map[string]int, l layout.Label) {
	if of[l.Name] == nil {
		of[l.Name] = map[string]int{}
	}
	of[l.Name][l.Value]++
}

// samplesOf is how many lines a series of a family takes in an exposition.
func samplesOf(f *Family) int {
	switch f.Type {
	case layout.Counter, layout.Gauge, layout.Untyped:
		return 1
	case layout.Summary:
		return 2
	}
	return 3 + len(f.Bounds)
}

func labelSizes(family string, values map[string]map[string]int, series int) []LabelSize {
	sizes := make([]LabelSize, 0, len(values))
	for name, by := range values {
		l := LabelSize{Family: family, Name: name, Values: len(by)}
		most := 0
		for v, n := range by {
			if n > most || n == most && v < l.Largest {
				most, l.Largest = n, v
			}
		}
		l.Share = float64(most) / float64(max(series, 1))
		sizes = append(sizes, l)
	}
	slices.SortFunc(sizes, func(a, b LabelSize) int {
		return cmp.Or(cmp.Compare(b.Values, a.Values), strings.Compare(a.Name, b.Name))
	})
	return sizes
}

// measure adds the sizes of a process's series.
func (p *Process) measure(sel *selector.Selector, sizes map[string]*FamilySize) {
	var record []byte
	for _, e := range p.seen.File.Entries() {
		d := p.Definitions[e.Family]
		size := sizes[d.Name]
		if e.Gone || size == nil || !matchesEntry(sel, size.Family, d, e.Values) {
			continue
		}
		record = layout.AppendSeries(record[:0], &layout.Series{Values: e.Values})
		size.InFiles++
		size.Bytes += int64(layout.RecordBytes(len(record)) + d.CellWords()*layout.WordBytes)
	}
}

func matchesEntry(sel *selector.Selector, f *Family, d *layout.Family, values []string) bool {
	if sel == nil {
		return true
	}
	labels := slices.Clone(d.ConstLabels)
	for i, v := range values {
		labels = append(labels, layout.Label{Name: d.LabelNames[i], Value: v})
	}
	slices.SortFunc(labels, func(a, b layout.Label) int { return strings.Compare(a.Name, b.Name) })
	return matches(sel, f, labels)
}

// duplicates finds living processes with the same value of the label "process".
func duplicates(processes []*Process) []Duplicate {
	by := map[string][]*Process{}
	for _, p := range processes {
		if p.State == Live {
			by[p.Label] = append(by[p.Label], p)
		}
	}
	var all []Duplicate
	for label, processes := range by {
		if len(processes) > 1 {
			all = append(all, Duplicate{label, processes})
		}
	}
	slices.SortFunc(all, func(a, b Duplicate) int { return strings.Compare(a.Label, b.Label) })
	return all
}
