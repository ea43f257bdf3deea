package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
	"github.com/mpmetrics/mpmetrics/internal/layout"
)

func (e *environment) get() *cobra.Command {
	buckets := false
	cmd := &cobra.Command{
		Use:   "get SELECTOR",
		Short: "Show merged values, their rules, and the share of each process",
		Long: `Show merged values, their rules, and the shares: of each
living process, of each dead process before its absorption, and of the archive.
Below the rule stands the reason: the type of the family, words of its name, or
a setting of the process. docs/collectors.md in the repository has all rules.

The selector is a PromQL selector: a name, and labels in braces. A histogram or
summary can be selected by its name, or by the name of its count, sum or buckets.

Exit status 1 if no series matches, 3 if a file could not be read, so that
values may be too low.`,
		Example: `  mpmetrics-inspect get shop_orders_total
  mpmetrics-inspect get 'shop_orders_total{payment=~"card|cash"}'
  mpmetrics-inspect get '{path="/cart"}' -o json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			sel, err := parseSelector(args[0])
			if err != nil {
				return err
			}
			i, s, err := e.read()
			if err != nil {
				return err
			}
			defer i.Close()
			values := s.Select(sel)
			if len(values) == 0 {
				err := hinted{fmt.Errorf("no series matches %s", sel), suggestion(s, sel.Name())}
				if problems := e.report(s.Problems); problems != nil {
					e.complain(err.Error())
					return problems
				}
				return err
			}
			s.Explain(values)
			if err := e.writeValues(s, values, buckets); err != nil {
				return err
			}
			return e.report(s.Problems)
		},
	}
	cmd.ValidArgsFunction = e.completeNames
	cmd.Flags().BoolVarP(&buckets, "buckets", "b", false, "the buckets of histograms too")
	e.outputFlag(cmd, tableFormat, jsonFormat, csvFormat)
	return cmd
}

// suggestion names a family similar to name.
func suggestion(s *inspect.Survey, name string) string {
	if s.Family(name) != nil {
		return "the family has no series with these labels: mpmetrics-inspect get " + name
	}
	var near []string
	for _, f := range s.Families {
		if name != "" && (strings.Contains(f.Name, name) || strings.Contains(name, f.Name)) && len(near) < 5 {
			near = append(near, inspect.Escape(f.Name))
		}
	}
	if near != nil {
		return "similar names: " + strings.Join(near, ", ")
	}
	return "mpmetrics-inspect analyze lists the families"
}

type jsonReading struct {
	Value   *jsonNumber  `json:"value,omitempty"`
	Count   *uint64      `json:"count,omitempty"`
	Sum     *jsonNumber  `json:"sum,omitempty"`
	Buckets []jsonBucket `json:"buckets,omitempty"`
	Native  *jsonNative  `json:"native,omitempty"`
}

type jsonBucket struct {
	UpperBound string `json:"le"`
	Count      uint64 `json:"count"` // cumulative
}

// jsonNative is a native histogram without count, sum and classic buckets. Its buckets are not
// cumulative.
type jsonNative struct {
	Schema        int32      `json:"schema"`
	ZeroThreshold jsonNumber `json:"zero_threshold"`
	ZeroCount     uint64     `json:"zero_count"`
	Positive      []jsonPair `json:"positive"`
	Negative      []jsonPair `json:"negative"`
}

type jsonPair struct {
	Index int32  `json:"index"`
	Count uint64 `json:"count"`
}

func jsonNativeOf(n *layout.Native) *jsonNative {
	if n == nil {
		return nil
	}
	pairs := func(buckets []layout.NativeBucket) []jsonPair {
		all := make([]jsonPair, 0, len(buckets))
		for _, b := range buckets {
			all = append(all, jsonPair(b))
		}
		return all
	}
	return &jsonNative{n.Schema, jsonNumber(n.Threshold), n.Zero, pairs(n.Positive), pairs(n.Negative)}
}

func jsonReadingOf(f *inspect.Family, r *inspect.Reading) jsonReading {
	if !r.Observed {
		return jsonReading{Value: new(jsonNumber(r.Value))}
	}
	j := jsonReading{Count: &r.Count, Sum: new(jsonNumber(r.Sum)), Native: jsonNativeOf(r.Native)}
	for i, n := range inspect.Cumulative(r.Buckets) {
		j.Buckets = append(j.Buckets, jsonBucket{inspect.BoundText(f.Bounds, i), n})
	}
	return j
}

type jsonValue struct {
	Name    string            `json:"name"`
	Labels  map[string]string `json:"labels"`
	Type    string            `json:"type"`
	Mode    string            `json:"mode,omitempty"`
	Rule    string            `json:"rule"`
	Why     string            `json:"why"`
	Created *time.Time        `json:"created"`
	jsonReading
	Contributions []jsonContribution `json:"contributions"`
	LeftOut       []jsonConflict     `json:"left_out"`
}

type jsonContribution struct {
	State   string     `json:"state"`
	File    string     `json:"file,omitempty"`
	PID     int        `json:"pid,omitempty"`
	Program string     `json:"program,omitempty"`
	Process string     `json:"process,omitempty"`
	Created *time.Time `json:"created"`
	Unset   bool       `json:"unset"`
	jsonReading
}

type jsonConflict struct {
	Family  string `json:"family"`
	File    string `json:"file"` // empty: the archive
	Reason  string `json:"reason"`
	Theirs  string `json:"theirs"`
	InForce string `json:"in_force"`
	LeftOut bool   `json:"left_out"`
}

func jsonConflictsOf(conflicts []inspect.Conflict) []jsonConflict {
	all := make([]jsonConflict, 0, len(conflicts))
	for _, c := range conflicts {
		all = append(all, jsonConflict{c.Family, c.Process, string(c.Reason), c.Theirs, c.Ours, c.LeftOut})
	}
	return all
}

func jsonValueOf(v *inspect.Value) jsonValue {
	j := jsonValue{
		Name: v.Family.Name, Labels: jsonLabels(v.Labels), Type: v.Family.Type.String(), Rule: v.Family.Rule(), Why: v.Family.Why(),
		Created: jsonTime(v.Created), jsonReading: jsonReadingOf(v.Family, &v.Reading),
		Contributions: []jsonContribution{}, LeftOut: jsonConflictsOf(v.Out),
	}
	if v.Family.Mode.Valid() {
		j.Mode = v.Family.Mode.String()
	}
	for i := range v.Parts {
		c := &v.Parts[i]
		part := jsonContribution{
			State: string(c.State()), Process: c.Dead, Created: jsonTime(c.Created), Unset: c.Unset, jsonReading: jsonReadingOf(v.Family, &c.Reading),
		}
		if p := c.Process; p != nil {
			part.File, part.PID, part.Program, part.Process = p.Name, p.PID, p.Program, p.Label
		}
		j.Contributions = append(j.Contributions, part)
	}
	return j
}

type jsonGet struct {
	document
	Complete bool          `json:"complete"`
	Series   []jsonValue   `json:"series"`
	Problems []jsonProblem `json:"problems"`
}

func (e *environment) writeValues(s *inspect.Survey, values []*inspect.Value, buckets bool) error {
	switch e.format {
	case jsonFormat:
		g := jsonGet{document: documentOf("get", s), Complete: s.Err == nil, Series: []jsonValue{}, Problems: jsonProblemsOf(s.Problems)}
		for _, v := range values {
			g.Series = append(g.Series, jsonValueOf(v))
		}
		return writeJSON(e.stdout, g)
	case csvFormat:
		g := &grid{columns: slices.Concat([]column{{name: "series"}}, partColumns, []column{{name: "sum"}, {name: "file"}})}
		for _, v := range values {
			for i := range v.Parts {
				g.add(slices.Concat([]cell{plain(v.Series())}, partRow(v, &v.Parts[i]), exactRow(&v.Parts[i]))...)
			}
		}
		return g.csv(e.stdout)
	}
	for n, v := range values {
		if n > 0 {
			fmt.Fprintln(e.stdout)
		}
		e.writeValue(s, v, buckets)
	}
	return nil
}

func (e *environment) writeValue(s *inspect.Survey, v *inspect.Value, buckets bool) {
	fmt.Fprintf(e.stdout, "%s  %s\n", v.Series(), readingText(&v.Reading))
	fmt.Fprintf(e.stdout, "%s: %s\n", v.Family.Kind(), v.Family.Rule())
	fmt.Fprintln(e.stdout, v.Family.Why())
	if r := v.Family.OtherRule(); r != "" {
		fmt.Fprintf(e.stdout, "another rule: %s\n", inspect.Escape(r))
	}
	if !v.Created.IsZero() {
		fmt.Fprintf(e.stdout, "counted since %s, %s\n", moment(v.Created).human, inspect.Ago(v.Created, s.Time))
	}
	if s.Err != nil && v.Family.Type.Cumulative() {
		fmt.Fprintln(e.stdout, "incomplete: a file could not be read, so a scrape lacks the series")
	}
	g := &grid{columns: partColumns}
	for i := range v.Parts {
		g.add(partRow(v, &v.Parts[i])...)
	}
	g.table(e.stdout, e.colors())
	for _, c := range v.Out {
		fmt.Fprintf(e.stdout, "not merged: %s, whose %s is %s and not %s\n", inspect.Escape(c.Who()), c.Reason, inspect.Escape(c.Theirs), inspect.Escape(c.Ours))
	}
	if buckets && v.Buckets != nil {
		e.writeBuckets(v)
	}
}

// writeBuckets shows the buckets of the merged value and of each part, cumulative.
func (e *environment) writeBuckets(v *inspect.Value) {
	g := &grid{columns: []column{{name: "le", right: true}, {name: "merged", right: true}}}
	columns := [][]uint64{inspect.Cumulative(v.Buckets)}
	for i := range v.Parts {
		c := &v.Parts[i]
		name := "archive"
		if c.Process != nil {
			name = fmt.Sprint(c.Process.PID)
		}
		g.columns = append(g.columns, column{name: name, right: true})
		columns = append(columns, inspect.Cumulative(c.Buckets))
	}
	for i := range v.Buckets {
		row := []cell{plain(inspect.BoundText(v.Family.Bounds, i))}
		for _, c := range columns {
			row = append(row, number(c[i]))
		}
		g.add(row...)
	}
	g.table(e.stdout, e.colors())
}

func readingText(r *inspect.Reading) string {
	if r.Observed {
		return fmt.Sprintf("count %d, sum %s", r.Count, inspect.FormatNumber(r.Sum))
	}
	return inspect.FormatNumber(r.Value)
}

// partColumns are the columns of a contribution.
var partColumns = []column{
	{name: "state"},
	{name: "pid", right: true},
	{name: "program"},
	{name: "process"},
	{name: "value", right: true},
	{name: "share", right: true},
	{name: "started"},
}

func partRow(v *inspect.Value, c *inspect.Contribution) []cell {
	pid, name, label, started := cell{human: "-"}, cell{human: "-"}, escaped(c.Dead), cell{human: "-"}
	if p := c.Process; p != nil {
		pid, name, label, started = number(p.PID), escaped(p.Program), escaped(p.Label), moment(p.Start)
	}
	value := plain(inspect.FormatNumber(c.Number()))
	if c.Observed {
		value.human = readingText(&c.Reading)
	}
	if c.Unset {
		value = cell{human: "never set"}
	}
	return []cell{plain(string(c.State())).in(stateColor(c.State())), pid, name, label, value, share(v, c), started}
}

// exactRow has the cells that a table has no room for.
func exactRow(c *inspect.Contribution) []cell {
	var sum, file cell
	if c.Observed {
		sum = plain(inspect.FormatNumber(c.Sum))
	}
	if c.Process != nil {
		file = plain(c.Process.Name)
	}
	return []cell{sum, file}
}

// share is the part of a sum in percent.
func share(v *inspect.Value, c *inspect.Contribution) cell {
	if v.Family.Mode.Valid() && !strings.HasSuffix(v.Family.Mode.String(), "sum") || v.Number() <= 0 || c.Number() < 0 {
		return cell{human: "-"}
	}
	part := c.Number() / v.Number()
	return cell{human: fmt.Sprintf("%.1f %%", 100*part), exact: fmt.Sprint(part)}
}
