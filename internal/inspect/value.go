package inspect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/scan"
	"github.com/mpmetrics/mpmetrics/internal/selector"
)

// Reading is the value of a series: one number, or the observations of a histogram or summary.
type Reading struct {
	Observed bool // Count, Sum and Buckets are set, and Value is not
	Value    float64
	Count    uint64
	Sum      float64
	Buckets  []uint64       // not cumulative, +Inf last; nil: no buckets
	Native   *layout.Native // nil: not a native histogram
}

// Number is the number for the reading if only one number fits.
func (r Reading) Number() float64 {
	if r.Observed {
		return float64(r.Count)
	}
	return r.Value
}

// Value is a merged series, with its contributions.
type Value struct {
	Family  *Family
	Labels  []layout.Label // by name
	Created time.Time      // start timestamp; zero: none
	Reading
	Parts []Contribution // processes by name, then the archive
	Out   []Conflict     // conflicting definitions whose values are not merged

	merged *merge.Series
}

// Contribution is the share of one process, or of the archive, in a merged series.
type Contribution struct {
	Process *Process // nil: the archive
	Dead    string   // label of the kept sample; empty: all absorbed counts
	Created time.Time
	Reading
	Unset bool // a gauge never set: not merged
}

// Name is the name of the contributor.
func (c *Contribution) Name() string {
	switch {
	case c.Process != nil:
		return c.Process.Name
	case c.Dead != "":
		return "archive, process " + c.Dead
	}
	return "archive"
}

// State is the state of the contributor.
func (c *Contribution) State() State {
	if c.Process == nil {
		return Archived
	}
	return c.Process.State
}

// Select returns the merged series that match a selector, by name and labels. A selector may name
// a histogram or summary, or one of its samples. nil matches all. Call Select before the next
// Read.
func (s *Survey) Select(sel *selector.Selector) []*Value {
	var values []*Value
	for _, f := range s.Families {
		values = append(values, s.selectFamily(f, sel)...)
	}
	return values
}

// SelectFamily is Select for all series of one family.
func (s *Survey) SelectFamily(f *Family) []*Value { return s.selectFamily(f, nil) }

func (s *Survey) selectFamily(f *Family, sel *selector.Selector) (values []*Value) {
	if f.merged == nil {
		return nil
	}
	for _, series := range f.merged.Series {
		if matches(sel, f, series.Labels) {
			values = append(values, s.value(f, series))
		}
	}
	return values
}

func matches(sel *selector.Selector, f *Family, labels []layout.Label) bool {
	if sel == nil {
		return true
	}
	label := func(name string) string { return labelOf(labels, name) }
	return slices.ContainsFunc(merge.SampleNames(f.Name, f.Type), func(name string) bool { return sel.Matches(name, label) })
}

func labelOf(labels []layout.Label, name string) string {
	i, found := slices.BinarySearchFunc(labels, name, func(l layout.Label, name string) int { return strings.Compare(l.Name, name) })
	if !found {
		return ""
	}
	return labels[i].Value
}

func (s *Survey) value(f *Family, series *merge.Series) *Value {
	v := &Value{Family: f, Labels: series.Labels, merged: series}
	v.Reading = reading(f, series, func() float64 { return s.inspector.merger.Counter(series) })
	if f.Type.Cumulative() {
		v.Created = nanoseconds(max(series.Created, s.Archive.archive.State.Begun))
	}
	return v
}

// number is the Number of a series, without the rest of its reading. number calls counter for the
// value of a counter without a mode.
func number(f *Family, series *merge.Series, counter func() float64) float64 {
	switch {
	case f.Mode.Valid():
		return series.Gauge()
	case f.Type == layout.Counter:
		return counter()
	}
	n, _ := series.Observations()
	return float64(n)
}

// reading reads a series, as number does.
func reading(f *Family, series *merge.Series, counter func() float64) Reading {
	if f.Mode.Valid() || f.Type == layout.Counter {
		return Reading{Value: number(f, series, counter)}
	}
	n, sum := series.Observations()
	return Reading{Observed: true, Count: n, Sum: sum, Buckets: slices.Clone(series.Buckets()), Native: series.Native()}
}

// Explain fills in the contributions to values of a Select. Call Explain before the next Read.
func (s *Survey) Explain(values []*Value) {
	of := make(map[*merge.Series]bool, len(values))
	byMerged := make(map[*merge.Series]*Value, len(values))
	for _, v := range values {
		v.Parts, v.Out = nil, nil
		of[v.merged], byMerged[v.merged] = true, v
		for _, c := range v.Family.Conflicts {
			if c.LeftOut {
				v.Out = append(v.Out, c)
			}
		}
	}
	add := func(series *merge.Series, c Contribution, p merge.Part) {
		v := byMerged[series]
		c.Reading = reading(v.Family, p.Series, p.Counter)
		c.Unset = v.Family.Mode.Valid() && !p.Set()
		if v.Family.Type.Cumulative() {
			c.Created = nanoseconds(p.Created)
		}
		v.Parts = append(v.Parts, c)
	}
	for _, p := range s.Processes {
		for series, part := range s.inspector.scanner.Parts(p.seen, of) {
			add(series, Contribution{Process: p}, part)
		}
	}
	for series, parts := range s.inspector.merger.DeadParts(of) {
		for mb, part := range parts {
			add(series, Contribution{Dead: mb.Label}, part)
		}
	}
	for series, part := range s.inspector.merger.CarriedParts(of) {
		add(series, Contribution{}, part)
	}
	for _, v := range values {
		slices.SortStableFunc(v.Parts, func(a, b Contribution) int {
			if (a.Process == nil) != (b.Process == nil) {
				if a.Process == nil {
					return +1
				}
				return -1
			}
			if a.Process == nil {
				return -cmp.Compare(a.Dead, b.Dead)
			}
			return compareProcesses(a.Process, b.Process)
		})
	}
}

// Series is the name and the labels of the value, in PromQL.
func (v *Value) Series() string { return SeriesText(v.Family.Name, v.Labels) }

// SeriesText writes a series in PromQL. The text is safe for a terminal, whatever a name or label
// contains.
func SeriesText(name string, labels []layout.Label) string {
	var b strings.Builder
	quoted := !plain(name, true)
	if !quoted {
		b.WriteString(name)
		if len(labels) == 0 {
			return b.String()
		}
	}
	b.WriteByte('{')
	if quoted {
		b.WriteString(strconv.Quote(name))
	}
	for i, l := range labels {
		if i > 0 || quoted {
			b.WriteByte(',')
		}
		if plain(l.Name, false) {
			b.WriteString(l.Name)
		} else {
			b.WriteString(strconv.Quote(l.Name))
		}
		b.WriteByte('=')
		b.WriteString(strconv.Quote(l.Value))
	}
	b.WriteByte('}')
	return b.String()
}

// plain reports whether a name needs no quotes.
func plain(name string, metric bool) bool {
	for i, c := range []byte(name) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || metric && c == ':'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// Escape makes text from a file harmless to a terminal: unprintable characters are escaped as in
// Go.
func Escape(text string) string {
	quoted := strconv.Quote(text)
	inner := quoted[1 : len(quoted)-1]
	return strings.ReplaceAll(inner, `\"`, `"`)
}

// FormatNumber writes a value as an exposition does.
func FormatNumber(v float64) string {
	switch {
	case math.IsInf(v, +1):
		return "+Inf"
	case math.IsInf(v, -1):
		return "-Inf"
	case v == math.Trunc(v) && math.Abs(v) < 1<<53:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// Skipped reports whether a reason leaves a file out for good.
func Skipped(r scan.Reason) bool { return r != "" && !r.Transient() }
