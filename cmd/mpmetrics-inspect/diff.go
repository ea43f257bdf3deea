package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/selector"
)

func (e *environment) diff() *cobra.Command {
	d := differ{environment: e}
	cmd := &cobra.Command{
		Use:   "diff A B | diff --after DURATION",
		Short: "Compare two moments: files, directories, saved dumps, or now and later",
		Long: `Compare two moments. Each is the file of a process, a directory, or the output of
dump, as JSON or as an exposition. With --after diff compares the directory now and later.

diff shows changed series, the largest change first; of histograms and summaries the count
and the sum. A rate needs two times: a JSON dump has its time, the time of another dump
is the time of its file.

  new     the series is missing in the first moment
  gone    the series is missing in the second moment
  reset   a cumulative series is lower than before; of a sum, the count is lower`,
		Example: `  mpmetrics-inspect diff --after 30s --match http_requests_total
  mpmetrics-inspect dump -o json >before.json; …; mpmetrics-inspect diff before.json /dev/shm/shop`,
		Args: usageArgs(cobra.MaximumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case d.after < 0, d.after > 0 && len(args) > 0, d.after == 0 && len(args) != 2:
				return usagef("diff: want two arguments, or --after with a duration")
			case d.limit < 0:
				return usagef("--limit %d: want at least 0", d.limit)
			}
			var err error
			d.match, err = e.selector()
			if err != nil {
				return err
			}
			return d.run(cmd.Context(), args)
		},
	}
	cmd.Flags().DurationVar(&d.after, "after", 0, "compare the directory now and after so long")
	cmd.Flags().BoolVar(&d.perProcess, "per-process", false, "of directories: a series for each process")
	cmd.Flags().BoolVarP(&d.all, "all", "a", false, "also unchanged series")
	cmd.Flags().IntVarP(&d.limit, "limit", "n", 0, "so many series; 0: all")
	e.matchFlag(cmd)
	e.outputFlag(cmd, tableFormat, jsonFormat, csvFormat)
	return cmd
}

// differ is one diff.
type differ struct {
	*environment
	after      time.Duration
	perProcess bool
	all        bool
	limit      int
	match      *selector.Selector

	problems []inspect.Problem // of the directories
}

func (d *differ) run(ctx context.Context, args []string) error {
	var snapshots [2]*inspect.Snapshot
	var err error
	if d.after > 0 {
		snapshots, err = d.nowAndLater(ctx)
	} else {
		for i, arg := range args {
			snapshots[i], err = d.load(arg)
			if err != nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	changes := inspect.Diff(snapshots[0], snapshots[1])
	total, changed := len(changes), 0
	for _, c := range changes {
		if c.What != inspect.Unchanged {
			changed++
		}
	}
	if !d.all {
		changes = changes[:changed] // unchanged series come last
	}
	if d.limit > 0 {
		changes = changes[:min(d.limit, len(changes))]
	}
	if err := d.write(snapshots, changes, changed, total); err != nil {
		return err
	}
	return d.report(d.problems)
}

// nowAndLater reads the directory twice, with a pause.
func (d *differ) nowAndLater(ctx context.Context) (both [2]*inspect.Snapshot, err error) {
	i, s, err := d.read()
	if err != nil {
		return both, err
	}
	defer i.Close()
	both[0], err = s.Snapshot(d.match, d.perProcess)
	if err != nil {
		return both, err
	}
	start := time.Now()
	const step = 100 * time.Millisecond
	stop := d.progress("waiting", int(d.after/step)).follow(func() int { return int(time.Since(start) / step) })
	select {
	case <-ctx.Done():
	case <-time.After(d.after):
	}
	stop()
	if err := ctx.Err(); err != nil {
		return both, err
	}
	s = i.Read()
	if err := present(s); err != nil {
		return both, err
	}
	d.problems = s.Problems
	both[1], err = s.Snapshot(d.match, d.perProcess)
	return both, err
}

// load reads the snapshot of an argument.
func (d *differ) load(path string) (*inspect.Snapshot, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		i := inspect.New(inspect.Opts{Dir: path, ArchiveDir: d.archiveDir, Access: d.access, Timeout: d.timeout})
		defer i.Close()
		s := i.Read()
		if err := present(s); err != nil {
			return nil, err
		}
		d.problems = append(d.problems, s.Problems...)
		return s.Snapshot(d.match, d.perProcess)
	case filepath.Ext(path) == layout.Extension:
		p, err := inspect.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if p.Err != nil {
			return nil, p.Err
		}
		return p.Detail().Snapshot(d.match), nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("{\n")) {
		return d.parse(path, b)
	}
	families, err := inspect.ParseExposition(bytes.NewReader(b), d.match)
	if err != nil {
		return nil, hinted{fmt.Errorf("%s: %w", path, err), "want a directory, a file " + layout.Extension + ", or the output of mpmetrics-inspect dump"}
	}
	return inspect.NewSnapshot(path, info.ModTime(), families), nil
}

// parse reads the output of dump -o json.
func (d *differ) parse(path string, b []byte) (*inspect.Snapshot, error) {
	var j jsonDump
	if err := json.Unmarshal(b, &j); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if j.Version != jsonVersion || j.Kind != "dump" {
		return nil, fmt.Errorf("%s: JSON of kind %q and version %d, want a dump of version %d", path, j.Kind, j.Version, jsonVersion)
	}
	s := &inspect.Snapshot{Name: path, Time: j.Time, Samples: map[string]inspect.Sample{}}
	for _, f := range j.Families {
		for i := range f.Series {
			f.Series[i].addTo(s, f, d.match)
		}
	}
	return s, nil
}

// addTo adds the samples of a series.
func (j *jsonSeries) addTo(s *inspect.Snapshot, f jsonFamily, sel *selector.Selector) {
	label := func(name string) string { return j.Labels[name] }
	if sel != nil && !slices.ContainsFunc([]string{f.Name, f.Name + "_count", f.Name + "_sum"}, func(name string) bool { return sel.Matches(name, label) }) {
		return
	}
	labels := make([]layout.Label, 0, len(j.Labels))
	for name, value := range j.Labels {
		labels = append(labels, layout.Label{Name: name, Value: value})
	}
	slices.SortFunc(labels, func(a, b layout.Label) int { return strings.Compare(a.Name, b.Name) })
	add := func(suffix string, v float64, cumulative bool) {
		s.Add(inspect.Sample{Name: f.Name + suffix, Labels: labels, Value: v, Cumulative: cumulative})
	}
	if j.Value != nil {
		add("", float64(*j.Value), f.Type == "counter")
	}
	if j.Count != nil {
		add("_count", float64(*j.Count), true)
	}
	if j.Sum != nil {
		s.Add(inspect.Sample{Name: f.Name + "_sum", Labels: labels, Value: float64(*j.Sum), Cumulative: true, Sum: true})
	}
}

type jsonDiff struct {
	Version int          `json:"version"`
	Kind    string       `json:"kind"`
	Before  jsonMark     `json:"before"`
	After   jsonMark     `json:"after"`
	Series  int          `json:"series_total"`
	Changed int          `json:"changed_total"`
	Changes []jsonChange `json:"changes"`
}

type jsonMark struct {
	Source string     `json:"source"`
	Time   *time.Time `json:"time"`
}

type jsonChange struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	What   string            `json:"what"`
	Before *jsonNumber       `json:"before"`
	After  *jsonNumber       `json:"after"`
	Change *jsonNumber       `json:"change"`
	Rate   *jsonNumber       `json:"rate"`
}

// known is a number, or nil for NaN.
func known(v float64) *jsonNumber {
	if math.IsNaN(v) {
		return nil
	}
	return new(jsonNumber(v))
}

func (d *differ) write(both [2]*inspect.Snapshot, changes []inspect.Change, changed, total int) error {
	if d.format == jsonFormat {
		j := jsonDiff{Version: jsonVersion, Kind: "diff", Series: total, Changed: changed, Changes: []jsonChange{}}
		for i, mark := range []*jsonMark{&j.Before, &j.After} {
			*mark = jsonMark{both[i].Name, jsonTime(both[i].Time)}
		}
		for _, c := range changes {
			j.Changes = append(j.Changes, jsonChange{c.Name, jsonLabels(c.Labels), c.What, known(c.Before), known(c.After), known(c.Delta()), known(c.Rate)})
		}
		return writeJSON(d.stdout, j)
	}
	g := &grid{columns: []column{
		{name: "before", right: true}, {name: "after", right: true}, {name: "change", right: true}, {name: "rate", right: true}, {name: "what"}, {name: "series"},
	}}
	for _, c := range changes {
		rate := cell{human: "-"}
		if !math.IsNaN(c.Rate) {
			rate = cell{human: rateText(c.Rate), exact: strconv.FormatFloat(c.Rate, 'g', -1, 64)}
		}
		g.add(amount(c.Before, ""), amount(c.After, ""), amount(c.Delta(), "+"), rate, plain(c.What).in(changeColor(c.What)), plain(c.Series))
	}
	if d.format == csvFormat {
		return g.csv(d.stdout)
	}
	if len(changes) > 0 {
		g.table(d.stdout, d.colors())
	}
	more := ""
	if d.limit > 0 && d.limit == len(changes) {
		more = fmt.Sprintf(", %d of them shown", len(changes))
	}
	fmt.Fprintf(d.stdout, "%d of %d series changed%s\n", changed, total, more)
	return nil
}

// amount is a number, with sign before a number above zero.
func amount(v float64, sign string) cell {
	if math.IsNaN(v) {
		return cell{human: "-"}
	}
	text := inspect.FormatNumber(v)
	if v > 0 {
		return cell{human: sign + text, exact: text}
	}
	return plain(text)
}
