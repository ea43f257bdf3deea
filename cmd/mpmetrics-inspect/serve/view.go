package serve

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

// Data of the templates. All text from files is escaped here for people, so that control
// characters are visible, and by the templates for HTML.

// overview is the first page. An overview never changes.
type overview struct {
	Directory string
	Present   bool
	Time      time.Time
	Took      time.Duration
	Complete  bool
	Missing   string // why the metrics are not complete

	Live, Dead, Other int // processes
	Rate              float64
	Series            int // merged
	Processes         rows[processRow]
	Families          rows[familyRow]
	Archive           archiveView
	Absorptions       []absorption
	Problems          rows[inspect.Problem]

	Chart       *chart
	ChartFamily string
	ChartURL    string
}

// rows are the rows of a table, with only the first rows shown.
type rows[T any] struct {
	Shown []T
	All   int
}

// More is how many are not shown.
func (r rows[T]) More() int { return r.All - len(r.Shown) }

// rowsOf keeps the rows with the largest weight, as many as a page has room for.
func rowsOf[T any](all []T, most int, weight func(T) int) rows[T] {
	r := rows[T]{Shown: all, All: len(all)}
	if len(all) <= most {
		return r
	}
	byWeight := make([]int, len(all))
	for i := range all {
		byWeight[i] = i
	}
	slices.SortStableFunc(byWeight, func(i, j int) int { return cmp.Compare(weight(all[j]), weight(all[i])) })
	shown := byWeight[:most]
	slices.Sort(shown)
	r.Shown = make([]T, most)
	for at, i := range shown {
		r.Shown[at] = all[i]
	}
	return r
}

// gravity is the weight of a problem.
func gravity(p inspect.Problem) int {
	if p.Severity == inspect.Error {
		return 1
	}
	return 0
}

type processRow struct {
	URL     string
	State   inspect.State
	PID     int
	Program string
	Host    string
	Label   string
	File    string
	Start   time.Time
	Age     string
	Series  int
	Bytes   int64
	Share   float64 // of the series of the largest process, in percent
	Err     string
}

type familyRow struct {
	URL        string
	Name, Help string
	Type, Mode string
	Series     int
	Share      float64 // of the series of the largest family, in percent
	Processes  int
	Archived   bool
	Rate       string
	Conflicts  int
}

type archiveView struct {
	Exists   bool
	Path     string
	Series   int
	Absorbed uint64
	Bytes    int64
	Last     string
	Begun    string
	Aside    rows[inspect.File] // in quarantine
}

// overviewOf makes the first page of the last survey.
func (w *watcher) overviewOf() *overview {
	s := w.survey
	o := &overview{
		Directory: s.Directory, Present: s.Present, Time: s.Time, Took: s.Took, Complete: s.Err == nil,
		Absorptions: slices.Clone(w.absorptions), Problems: rowsOf(slices.Clone(s.Problems), maxProblems, gravity),
	}
	if s.Err != nil {
		o.Missing = inspect.Escape(s.Err.Error())
	}
	largest := 0
	for _, p := range s.Processes {
		largest = max(largest, p.SeriesTotal())
	}
	var processes []processRow
	for _, p := range s.Processes {
		switch p.State {
		case inspect.Live:
			o.Live++
		case inspect.Dead:
			o.Dead++
		default:
			o.Other++
		}
		processes = append(processes, rowOfProcess(p, s.Time, largest))
	}
	o.Processes = rowsOf(processes, maxRows, func(r processRow) int { return r.Series })
	largest = 0
	for _, f := range s.Families {
		largest = max(largest, f.Series)
	}
	var families []familyRow
	for _, f := range s.Families {
		o.Series += f.Series
		r := rowOfFamily(f, largest)
		if rate, known := w.rates[f.Name]; known {
			r.Rate = humanNumber(rate)
			if events(f) {
				o.Rate += rate
			}
		}
		families = append(families, r)
	}
	o.Families = rowsOf(families, maxRows, func(r familyRow) int { return r.Series })
	a := &s.Archive
	o.Archive = archiveView{
		Exists: a.Exists, Path: a.Path, Series: a.Series, Absorbed: a.Absorbed, Bytes: a.Bytes,
		Last: inspect.Ago(a.Last, s.Time), Begun: inspect.Ago(a.Begun, s.Time), Aside: rowsOf(slices.Clone(s.Quarantine), maxProblems, func(inspect.File) int { return 0 }),
	}
	if name := w.chosen(); name != "" {
		o.ChartFamily, o.ChartURL, o.Chart = inspect.Escape(name), familyURL(name), w.chart(name)
	}
	return o
}

// chart draws the rates of a family's processes.
func (w *watcher) chart(family string) *chart {
	all, from, to := w.history.of(family)
	return draw(all, from, to, max(w.interval, leastApart), func(file string) string {
		pid, _, _ := strings.Cut(file, "-")
		return "pid " + pid
	})
}

func rowOfProcess(p *inspect.Process, now time.Time, largest int) processRow {
	r := processRow{
		URL: "/process?file=" + url.QueryEscape(p.Name), State: p.State, PID: p.PID, Program: inspect.Escape(p.Program), Host: inspect.Escape(p.Host),
		Label: inspect.Escape(p.Label), File: inspect.Escape(p.Name), Start: p.Start, Series: p.SeriesTotal(), Bytes: p.Bytes,
		Share: share(p.SeriesTotal(), largest),
	}
	if !p.Start.IsZero() {
		r.Age = inspect.HumanDuration(now.Sub(p.Start))
	}
	if p.Err != nil {
		r.Err = inspect.Escape(p.Err.Error())
	}
	return r
}

func rowOfFamily(f *inspect.Family, largest int) familyRow {
	r := familyRow{
		URL: familyURL(f.Name), Name: inspect.Escape(f.Name), Help: inspect.Escape(f.Help), Type: f.Type.String(), Series: f.Series,
		Share: share(f.Series, largest), Processes: f.Processes, Archived: f.Archived, Conflicts: len(f.Conflicts),
	}
	if f.Mode.Valid() {
		r.Mode = f.Mode.String()
	}
	return r
}

func familyURL(name string) string { return "/family?name=" + url.QueryEscape(name) }

func share(n, largest int) float64 {
	if largest == 0 {
		return 0
	}
	return 100 * float64(n) / float64(largest)
}

// familyView is the page of a family.
type familyView struct {
	familyRow
	Unit      string
	Rule      string
	Why       string // reason of the rule
	OtherRule string // how to set another rule
	Bounds    []float64
	Conflicts []conflictRow
	Values    []valueRow
	More      int // series without a row
	Chart     *chart
	Charted   bool // there may be a chart
}

type conflictRow struct {
	Who, Reason, Theirs, Ours string
	LeftOut                   bool
}

type valueRow struct {
	Labels []labelView
	Value  string
	Sum    string // sum of the observations
	Since  string
	Parts  []partRow
}

type labelView struct{ Name, Value string }

type partRow struct {
	Who   string
	URL   string
	State inspect.State
	Value string
}

const (
	// maxRows, maxProblems, maxValues and maxParts bound a page, because the page is made every two
	// seconds. ls, check, show, analyze and get have no such bounds.
	maxRows     = 1000
	maxProblems = 100
	maxValues   = 200
	maxParts    = 12
)

// family makes the page of a family, nil if the family is missing.
func (w *watcher) family(name string) (v *familyView) {
	w.with(func(s *inspect.Survey) {
		if s == nil {
			return
		}
		f := s.Family(name)
		if f == nil {
			return
		}
		v = &familyView{
			familyRow: rowOfFamily(f, f.Series), Unit: inspect.Escape(f.Unit), Bounds: f.Bounds,
			Rule: f.Rule(), Why: f.Why(), OtherRule: inspect.Escape(f.OtherRule()),
		}
		for _, c := range f.Conflicts {
			v.Conflicts = append(v.Conflicts, conflictRow{inspect.Escape(c.Who()), string(c.Reason), inspect.Escape(c.Theirs), inspect.Escape(c.Ours), c.LeftOut})
		}
		if f.Type.Cumulative() {
			w.history.ask(name, s.Time)
			v.Charted, v.Chart = true, w.chart(name)
			v.Rate = humanNumber(w.rates[name])
		}
		values := s.SelectFamily(f)
		slices.SortStableFunc(values, func(a, b *inspect.Value) int { return cmp.Compare(b.Number(), a.Number()) })
		v.More = max(0, len(values)-maxValues)
		values = values[:min(len(values), maxValues)]
		s.Explain(values)
		for _, value := range values {
			v.Values = append(v.Values, rowOfValue(value, s.Time))
		}
	})
	return v
}

func rowOfValue(v *inspect.Value, now time.Time) valueRow {
	r := valueRow{Value: inspect.FormatNumber(v.Number())}
	for _, l := range v.Labels {
		r.Labels = append(r.Labels, labelView{inspect.Escape(l.Name), inspect.Escape(l.Value)})
	}
	if v.Observed {
		r.Sum = inspect.FormatNumber(v.Sum)
	}
	if !v.Created.IsZero() {
		r.Since = inspect.Ago(v.Created, now)
	}
	parts := slices.Clone(v.Parts)
	slices.SortStableFunc(parts, func(a, b inspect.Contribution) int { return cmp.Compare(b.Number(), a.Number()) })
	for _, c := range parts[:min(len(parts), maxParts)] {
		p := partRow{State: c.State(), Value: inspect.FormatNumber(c.Number())}
		if c.Unset {
			p.Value = "never set"
		}
		p.Who = "archive"
		if c.Process != nil {
			p.Who, p.URL = fmt.Sprint("pid ", c.Process.PID), "/process?file="+url.QueryEscape(c.Process.Name)
		} else if c.Dead != "" {
			p.Who = "process " + inspect.Escape(c.Dead)
		}
		r.Parts = append(r.Parts, p)
	}
	if n := len(parts) - maxParts; n > 0 {
		r.Parts = append(r.Parts, partRow{Who: fmt.Sprintf("and %d more", n)})
	}
	return r
}

// processView is the page of a process.
type processView struct {
	processRow
	ID, Boot  string
	Format    int
	OtherBoot bool
	Means     string // meaning of the error, and its remedy
	Remedy    string
	Families  rows[processFamily]
	Mirrored  int
}

type processFamily struct {
	URL, Name, Type, Mode string
	Series                int
	Share                 float64
}

// process makes the page of a process by the name of its file, nil if the file is missing.
func (w *watcher) process(file string) (v *processView) {
	w.with(func(s *inspect.Survey) {
		if s == nil {
			return
		}
		for _, p := range s.Processes {
			if p.Name == file {
				v = viewOfProcess(p, s)
			}
		}
	})
	return v
}

func viewOfProcess(p *inspect.Process, s *inspect.Survey) *processView {
	v := &processView{
		processRow: rowOfProcess(p, s.Time, p.SeriesTotal()), ID: p.ID, Boot: inspect.Escape(p.BootID), Format: p.Format,
		OtherBoot: p.OtherBoot(), Mirrored: p.Mirrored,
	}
	for _, problem := range s.Problems {
		if problem.Subject == inspect.Escape(p.Name) {
			v.Means, v.Remedy = problem.Means, problem.Remedy
		}
	}
	largest := 0
	if len(p.Series) > 0 {
		largest = slices.Max(p.Series)
	}
	var families []processFamily
	for i, d := range p.Definitions {
		if p.Series[i] == 0 {
			continue
		}
		f := processFamily{URL: familyURL(d.Name), Name: inspect.Escape(d.Name), Type: d.Type.String(), Series: p.Series[i], Share: share(p.Series[i], largest)}
		if d.Mode.Valid() {
			f.Mode = d.Mode.String()
		}
		families = append(families, f)
	}
	slices.SortFunc(families, func(a, b processFamily) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(b.Series, a.Series))
	})
	v.Families = rowsOf(families, maxRows, func(f processFamily) int { return f.Series })
	return v
}
