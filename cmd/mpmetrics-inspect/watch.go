package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

// rateFlags are the common flags of top and watch.
type rateFlags struct {
	interval time.Duration
	count    int
}

func (f *rateFlags) add(cmd *cobra.Command) {
	cmd.Flags().DurationVarP(&f.interval, "interval", "i", time.Second, "time between two readings")
	cmd.Flags().IntVarP(&f.count, "count", "n", 0, "end after so many lines; 0: never")
}

func (f *rateFlags) check() error {
	if f.interval < 10*time.Millisecond {
		return usagef("--interval %s: want at least 10ms", f.interval)
	}
	if f.count < 0 {
		return usagef("--count %d: want at least 0", f.count)
	}
	return nil
}

func (e *environment) watch() *cobra.Command {
	var flags rateFlags
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Print a line with rates for each interval",
		Long: `Print a line for each interval: processes, series, the rate of all processes, and
the series that grow fastest. The rate of a process is the growth of its counters, and of
the counts of its histograms and summaries, per second. watch ends with a signal, or
after --count lines; the directory may come and go.

With -o json each line is a document.`,
		Example: "  mpmetrics-inspect watch --interval 5s --match 'http_requests_total'\n  mpmetrics-inspect watch -n 1 -o json | jq .rate",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			return e.lines(cmd.Context(), flags)
		},
	}
	flags.add(cmd)
	e.matchFlag(cmd)
	e.outputFlag(cmd, tableFormat, jsonFormat)
	return cmd
}

// meter returns a meter of the series of --match, and a function that closes its files.
func (e *environment) meter() (m *inspect.Meter, done func(), err error) {
	sel, err := e.selector()
	if err != nil {
		return nil, nil, err
	}
	i, err := e.open()
	if err != nil {
		return nil, nil, err
	}
	return inspect.NewMeter(i, sel), i.Close, nil
}

// lines prints a line for each interval, until the context ends.
func (e *environment) lines(ctx context.Context, flags rateFlags) error {
	meter, done, err := e.meter()
	if err != nil {
		return err
	}
	defer done()
	meter.Next()
	tick := time.NewTicker(flags.interval)
	defer tick.Stop()
	for n := 0; flags.count == 0 || n < flags.count; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := e.writeMoment(meter.Next()); err != nil {
			return err
		}
	}
	return nil
}

// fastest is how many series a line names.
const fastest = 3

type jsonMoment struct {
	document
	Complete   bool              `json:"complete"`
	Seconds    float64           `json:"interval_seconds"`
	Live       int               `json:"live"`
	Dead       int               `json:"dead"`
	SeriesN    int               `json:"series_total"`
	Rate       jsonNumber        `json:"rate"`
	Processes  []jsonProcessRate `json:"processes"`
	Series     []jsonSeriesRate  `json:"series"`
	ProblemsN  int               `json:"problems_total"`
	ArchivedN  uint64            `json:"absorbed_processes_total"`
	Quarantine int               `json:"files_in_quarantine"`
}

type jsonProcessRate struct {
	File    string     `json:"file"`
	PID     int        `json:"pid"`
	Program string     `json:"program"`
	State   string     `json:"state"`
	Rate    jsonNumber `json:"rate"`
}

type jsonSeriesRate struct {
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels"`
	Value  jsonNumber        `json:"value"`
	Rate   jsonNumber        `json:"rate"`
}

func (e *environment) writeMoment(m *inspect.Moment) error {
	top := m.Series[:min(fastest, len(m.Series))]
	if e.format == jsonFormat {
		j := jsonMoment{
			document: documentOf("watch", m.Survey), Complete: m.Err == nil, Seconds: m.Interval.Seconds(),
			Live: m.Count(inspect.Live), Dead: m.Count(inspect.Dead), SeriesN: len(m.Series), Rate: jsonNumber(m.Rate),
			Processes: []jsonProcessRate{}, Series: []jsonSeriesRate{}, ProblemsN: len(m.Problems), ArchivedN: m.Archive.Absorbed, Quarantine: len(m.Quarantine),
		}
		for _, p := range m.Processes {
			j.Processes = append(j.Processes, jsonProcessRate{p.Name, p.PID, p.Program, string(p.State), jsonNumber(p.Rate)})
		}
		for _, s := range top {
			j.Series = append(j.Series, jsonSeriesRate{s.Family.Name, jsonLabels(s.Labels), jsonNumber(s.Number()), jsonNumber(s.Rate)})
		}
		return json.NewEncoder(e.stdout).Encode(j)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  live %d  dead %d  archived %d  series %d  %s", m.Time.Local().Format(time.TimeOnly), m.Count(inspect.Live), m.Count(inspect.Dead), m.Archive.Absorbed, len(m.Series), rateText(m.Rate))
	if n := len(m.Problems); n > 0 {
		fmt.Fprintf(&b, "  %s", found(n))
	}
	for _, s := range top {
		if s.Rate > 0 {
			fmt.Fprintf(&b, "  %s %s", s.Value.Series(), rateText(s.Rate))
		}
	}
	_, err := fmt.Fprintln(e.stdout, b.String())
	return err
}

// rateText is a rate per second.
func rateText(r float64) string {
	switch {
	case r == 0:
		return "0/s"
	case r < 10:
		return fmt.Sprintf("%.2f/s", r)
	case r < 10_000:
		return fmt.Sprintf("%.0f/s", r)
	case r < 10_000_000:
		return fmt.Sprintf("%.0fk/s", r/1000)
	}
	return fmt.Sprintf("%.0fM/s", r/1_000_000)
}
