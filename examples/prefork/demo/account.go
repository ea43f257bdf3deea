package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/mpmetrics/mpmetrics/examples/prefork/internal/loadtest"
)

// account prints the result of a trial for people.
func account(out io.Writer, r loadtest.Result, problems []string) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	row := func(what string, value any, remark string, args ...any) {
		fmt.Fprintf(w, "  %s\t%v\t%s\n", what, value, fmt.Sprintf(remark, args...))
	}

	fmt.Fprintln(w, "\nrequests")
	row("answered, as the clients saw it", r.Answered, "")
	row("broken by the kills", r.Broken, "each may or may not have been counted")
	row("counted, in the merged scrape", whole(r.Counted), "%s", difference(r.Counted, r.Answered))
	row("observed, in the merged histogram", whole(r.Observed), "%s", difference(r.Observed, r.Answered))
	pids := slices.Sorted(maps.Keys(r.Alone))
	if len(pids) > 0 {
		row("in one worker's own registry", whole(r.Alone[pids[0]]), "what a scrape of worker %d alone would show", pids[0])
		var sum float64
		for _, count := range r.Alone {
			sum += count
		}
		row("in the own registries of all that live", whole(sum), "the killed took theirs with them")
	}

	fmt.Fprintln(w, "scrapes")
	row("answered", r.Watch.Scrapes(), "%d broken by the kills", r.Watch.Failed)
	row("median time", r.Watch.Median().Round(10*time.Microsecond), "max %v", r.Watch.Max().Round(10*time.Microsecond))
	row("total dipped", r.Watch.Dips, "left out %d times", r.Watch.LeftOut)

	fmt.Fprintln(w, "live gauges")
	row("of killed workers, one scrape later", len(r.Lingered), "%d were killed", len(r.Killed))
	row("of living workers", len(r.Shown), "%d are alive", len(r.Workers))
	row("requests in flight", whole(r.InFlight), "after the last answer")

	if r.Churn != nil {
		fmt.Fprintln(w, "jobs that came and went")
		churn(row, r.Churn)
	}
	w.Flush()

	if len(problems) > 0 {
		// One lost count shows in every later scrape: the first few suffice.
		const enough = 8
		fmt.Fprintf(out, "\nFAIL: %d problems\n  %s\n", len(problems),
			strings.Join(problems[:min(enough, len(problems))], "\n  "))
		return
	}
	fmt.Fprintln(out, "\nok: answered <= counted <= answered + broken, and no total ever went down")
}

// churn adds the rows about the jobs.
func churn(row func(what string, value any, remark string, args ...any), c *loadtest.Churn) {
	row("ended", c.Jobs, "%d of them by SIGKILL, in %v", c.Crashed, c.Took.Round(100*time.Millisecond))
	for _, f := range c.Families() {
		remark := "exact"
		if f.Got != f.Want {
			remark = "not exact"
		}
		row("counted in "+f.Family, f.Got, "%v expected: %s", f.Want, remark)
	}
	row("files, at most", c.MostFiles, "%d in the end, %v after the last job", c.Files, c.Settled.Round(10*time.Millisecond))
	row("median scrape time before", c.Before.Round(10*time.Microsecond), "")
	row("median scrape time after", c.After.Round(10*time.Microsecond), "max %v, of %d scrapes",
		c.Watch.Max().Round(10*time.Microsecond), c.Watch.Scrapes())
	row("totals dipped", c.Watch.Dips, "left out %d times", c.Watch.LeftOut)
}

func whole(v float64) string { return fmt.Sprintf("%.0f", v) }

// difference says how far the count is from the answers.
func difference(counted float64, answered int64) string {
	if d := counted - float64(answered); d != 0 {
		return fmt.Sprintf("%+.0f", d)
	}
	return "exact"
}
