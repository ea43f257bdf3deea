package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

func (e *environment) dump() *cobra.Command {
	var (
		perProcess bool
		out        string
		escaping   string
	)
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "Write all merged values, as in a scrape",
		Long: `Write all merged values, as in a scrape, except for the metrics about
mpmetrics itself. With --per-process there is a series for each process and for the
archive, told apart by the labels mpmetrics_process and mpmetrics_state. A label of
the series with one of these names is written as exported_mpmetrics_process.

With --out the file is replaced at once, and has the mode 0644: node_exporter may read
it from its textfile directory at any moment.

Exit status 3 if a file could not be read. The output then has no counters, histograms
and summaries, because they would be too low; with --out the file stays unchanged.`,
		Example: `  mpmetrics-inspect dump --match '{job="billing"}'
  mpmetrics-inspect dump --out /var/lib/node_exporter/textfile/shop.prom
  mpmetrics-inspect dump --per-process -o json >before.json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			sel, err := e.selector()
			if err != nil {
				return err
			}
			scheme, err := model.ToEscapingScheme(escaping)
			if err != nil {
				return usagef("--escaping %s: want allow-utf-8, underscores, dots or values", escaping)
			}
			i, s, err := e.read()
			if err != nil {
				return err
			}
			defer i.Close()
			var families []*dto.MetricFamily
			if perProcess {
				families = s.GatherProcesses(sel)
			} else if families, err = s.Gather(sel); err != nil {
				return err
			}
			if out != "" && s.Err != nil {
				_ = e.report(s.Problems)
				e.complain(out + " stays as it was")
				return errProblems
			}
			write := func(w io.Writer) error { return e.writeDump(w, s, families, scheme) }
			if out != "" {
				err = replaceFile(out, write)
			} else {
				err = write(e.stdout)
			}
			if err != nil {
				return err
			}
			return e.report(s.Problems)
		},
	}
	cmd.Flags().BoolVar(&perProcess, "per-process", false, "a series for each process, and for the archive")
	cmd.Flags().StringVar(&out, "out", "", "write to this file, and replace it at once")
	cmd.Flags().StringVar(&escaping, "escaping", "allow-utf-8", "names that old programs cannot read: allow-utf-8 leaves them, underscores, dots, values escape them")
	e.matchFlag(cmd)
	e.outputFlag(cmd, promFormat, openMetrics, jsonFormat, csvFormat)
	return cmd
}

func (e *environment) writeDump(out io.Writer, s *inspect.Survey, families []*dto.MetricFamily, scheme model.EscapingScheme) error {
	switch e.format {
	case jsonFormat:
		return writeJSON(out, jsonDumpOf(s, families))
	case csvFormat:
		g := &grid{columns: []column{{name: "series"}, {name: "value"}}}
		for _, f := range families {
			for _, sample := range inspect.Samples(f) {
				g.add(plain(inspect.SeriesText(sample.Name, sample.Labels)), plain(inspect.FormatNumber(sample.Value)))
			}
		}
		return g.csv(out)
	case openMetrics:
		format := expfmt.NewFormat(expfmt.TypeOpenMetrics).WithEscapingScheme(scheme)
		if v, err := expfmt.NewOpenMetricsFormat(expfmt.OpenMetricsVersion_1_0_0); err == nil {
			format = v.WithEscapingScheme(scheme)
		}
		return inspect.Expose(out, families, format)
	}
	return inspect.Expose(out, families, expfmt.NewFormat(expfmt.TypeTextPlain).WithEscapingScheme(scheme))
}

// replaceFile writes a temporary file in the same directory and renames the file over path: a
// reader finds the old file or the new file, and never a part.
func replaceFile(path string, write func(io.Writer) error) error {
	// As root the rename would put a file in the place of /dev/null.
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return hinted{&os.PathError{Op: "replace", Path: path, Err: errors.New("it is not a regular file")}, "without --out the output goes to standard output"}
	}
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	// node_exporter reads *.prom: the temporary name must not match.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b.Bytes())
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

type jsonDump struct {
	document
	Complete bool          `json:"complete"`
	Families []jsonFamily  `json:"families"`
	Problems []jsonProblem `json:"problems"`
}

type jsonFamily struct {
	Name   string       `json:"name"`
	Help   string       `json:"help"`
	Type   string       `json:"type"`
	Unit   string       `json:"unit,omitempty"`
	Series []jsonSeries `json:"series"`
}

type jsonSeries struct {
	Labels  map[string]string `json:"labels"`
	Created *time.Time        `json:"created"`
	jsonReading
}

func jsonDumpOf(s *inspect.Survey, families []*dto.MetricFamily) jsonDump {
	d := jsonDump{document: documentOf("dump", s), Complete: s.Err == nil, Families: []jsonFamily{}, Problems: jsonProblemsOf(s.Problems)}
	for _, f := range families {
		j := jsonFamily{Name: f.GetName(), Help: f.GetHelp(), Type: inspect.TypeText(f), Unit: f.GetUnit()}
		for _, m := range f.GetMetric() {
			j.Series = append(j.Series, jsonSeriesOf(m))
		}
		d.Families = append(d.Families, j)
	}
	return d
}

func jsonSeriesOf(m *dto.Metric) jsonSeries {
	j := jsonSeries{Labels: map[string]string{}, Created: jsonTime(inspect.Created(m))}
	for _, l := range m.GetLabel() {
		j.Labels[l.GetName()] = l.GetValue()
	}
	switch {
	case m.Histogram != nil:
		h := m.Histogram
		j.Count, j.Sum = new(h.GetSampleCount()), new(jsonNumber(h.GetSampleSum()))
		for _, b := range h.GetBucket() {
			j.Buckets = append(j.Buckets, jsonBucket{inspect.FormatNumber(b.GetUpperBound()), b.GetCumulativeCount()})
		}
		j.Native = jsonNativeOf(inspect.NativeOf(h))
	case m.Summary != nil:
		j.Count, j.Sum = new(m.Summary.GetSampleCount()), new(jsonNumber(m.Summary.GetSampleSum()))
	default:
		j.Value = new(jsonNumber(inspect.Number(m)))
	}
	return j
}
