package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

func (e *environment) analyze() *cobra.Command {
	limit := 0
	cmd := &cobra.Command{
		Use:   "analyze",
		Short: "Count series, values and bytes of families and labels",
		Long: `Say where series come from: series for each family, values for each label, bytes
for each family in the files, processes that have one value of the label process.

SERIES are merged ones, as Prometheus stores them; IN FILES counts those of all
processes, which every scrape reads.`,
		Example: "  mpmetrics-inspect analyze --limit 5\n  mpmetrics-inspect analyze --match http_requests_total",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			sel, err := e.selector()
			if err != nil {
				return err
			}
			if limit < 1 {
				return usagef("--limit %d: want at least 1", limit)
			}
			i, s, err := e.read()
			if err != nil {
				return err
			}
			defer i.Close()
			if err := e.writeCardinality(s, s.Analyze(sel), limit); err != nil {
				return err
			}
			return e.report(s.Problems)
		},
	}
	cmd.Flags().IntVarP(&limit, "limit", "n", 10, "this many of each, the largest")
	e.matchFlag(cmd)
	e.outputFlag(cmd, tableFormat, jsonFormat, csvFormat)
	return cmd
}

type jsonCardinality struct {
	document
	Series     int              `json:"series"`
	InFiles    int              `json:"series_in_files"`
	Archived   int              `json:"series_in_archive"`
	FamilyN    int              `json:"families_total"`
	Families   []jsonFamilySize `json:"families"`
	Labels     []jsonLabelSize  `json:"labels"`
	Duplicates []jsonDuplicate  `json:"duplicates"`
	Problems   []jsonProblem    `json:"problems"`
}

type jsonFamilySize struct {
	Name      string          `json:"name"`
	Type      string          `json:"type"`
	Mode      string          `json:"mode,omitempty"`
	Series    int             `json:"series"`
	Samples   int             `json:"samples"`
	Processes int             `json:"processes"`
	InFiles   int             `json:"series_in_files"`
	Bytes     int64           `json:"bytes_in_files"`
	Labels    []jsonLabelSize `json:"labels"`
}

type jsonLabelSize struct {
	Label  string  `json:"label"`
	Values int     `json:"values"`
	Most   string  `json:"most_frequent"`
	Share  float64 `json:"most_frequent_share"`
}

type jsonDuplicate struct {
	Process string   `json:"process"`
	Files   []string `json:"files"`
}

func jsonLabelSizesOf(labels []inspect.LabelSize) []jsonLabelSize {
	all := make([]jsonLabelSize, 0, len(labels))
	for _, l := range labels {
		all = append(all, jsonLabelSize{l.Name, l.Values, l.Largest, l.Share})
	}
	return all
}

func (e *environment) writeCardinality(s *inspect.Survey, c *inspect.Cardinality, limit int) error {
	families, labels := c.Families[:min(limit, len(c.Families))], c.Labels[:min(limit, len(c.Labels))]
	if e.format == jsonFormat {
		j := jsonCardinality{
			document: documentOf("analyze", s), Series: c.Series, InFiles: c.InFiles, Archived: c.Archived, FamilyN: len(c.Families),
			Families: []jsonFamilySize{}, Labels: jsonLabelSizesOf(labels), Duplicates: []jsonDuplicate{}, Problems: jsonProblemsOf(s.Problems),
		}
		for _, f := range families {
			size := jsonFamilySize{f.Name, f.Type.String(), "", f.Matching, f.Samples, f.Processes, f.InFiles, f.Bytes, jsonLabelSizesOf(f.Labels)}
			if f.Mode.Valid() {
				size.Mode = f.Mode.String()
			}
			j.Families = append(j.Families, size)
		}
		for _, d := range c.Duplicates {
			dup := jsonDuplicate{Process: d.Label}
			for _, p := range d.Process {
				dup.Files = append(dup.Files, p.Name)
			}
			j.Duplicates = append(j.Duplicates, dup)
		}
		return writeJSON(e.stdout, j)
	}
	g := &grid{columns: []column{
		{name: "family"},
		{name: "type"},
		{name: "series", right: true},
		{name: "samples", right: true},
		{name: "processes", right: true},
		{name: "in_files", right: true},
		{name: "bytes", right: true},
		{name: "labels"},
	}}
	for _, f := range families {
		texts := make([]string, len(f.Labels))
		for i, l := range f.Labels {
			texts[i] = fmt.Sprintf("%s %d", inspect.Escape(l.Name), l.Values)
		}
		g.add(escaped(f.Name), plain(f.Kind()), number(f.Matching), number(f.Samples), number(f.Processes), number(f.InFiles), size(f.Bytes), plain(strings.Join(texts, ", ")))
	}
	if e.format == csvFormat {
		return g.csv(e.stdout)
	}
	fmt.Fprintf(e.stdout, "%d series in %d families; the files of processes have %d, the archive %d\n\n", c.Series, len(c.Families), c.InFiles, c.Archived)
	g.table(e.stdout, e.colors())
	e.more(len(c.Families), limit)
	if len(labels) > 0 {
		fmt.Fprintln(e.stdout)
		g := &grid{columns: []column{{name: "label"}, {name: "values", right: true}, {name: "most_frequent"}, {name: "share", right: true}}}
		for _, l := range labels {
			g.add(escaped(l.Name), number(l.Values), plain(shorten(inspect.Escape(l.Largest))), plain(fmt.Sprintf("%.0f %%", 100*l.Share)))
		}
		g.table(e.stdout, e.colors())
		e.more(len(c.Labels), limit)
	}
	for _, d := range c.Duplicates {
		fmt.Fprintf(e.stdout, "\n%d living processes have the label process=%q: samples of All gauges get a suffix\n", len(d.Process), d.Label)
	}
	return nil
}

// more reports the rows cut from a table.
func (e *environment) more(n, limit int) {
	if n > limit {
		fmt.Fprintf(e.stdout, "… and %d more: --limit %d\n", n-limit, n)
	}
}

// shorten cuts a text that would break a table.
func shorten(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
