package loadtest

import (
	"fmt"
	"slices"
	"time"
)

// Problems lists the promises that the trial broke, none if all is well.
func (t Trial) Problems(r Result) []string {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }

	least, most := float64(r.Answered), float64(r.Answered+r.Broken)
	if r.Counted < least || r.Counted > most {
		problem("%s is %.0f, which is not within %.0f and %.0f", requestsTotal, r.Counted, least, most)
	}
	if r.Observed < least || r.Observed > most {
		problem("%s has %.0f observations, which is not within %.0f and %.0f", requestDuration, r.Observed, least, most)
	}
	if r.Answered == 0 {
		problem("no request was answered")
	}
	if r.Wrong > 0 {
		problem("%d requests were answered with an error", r.Wrong)
	}
	if r.Answered+r.Broken+r.Refused+r.Wrong != r.Sent {
		problem("%d requests were sent, but what became of them does not add up", r.Sent)
	}
	// A client has one request on the way, so a kill breaks at most one request per client. More
	// broken requests would have another reason, and the tolerance above would hide a fault.
	if broken := int64(t.Clients * len(r.Killed)); r.Broken > broken {
		problem("%d requests broke, where the kills explain at most %d", r.Broken, broken)
	}

	problems = append(problems, r.Watch.Faults...)
	if r.Watch.Scrapes() == 0 {
		problem("no scrape was answered")
	}
	if r.Watch.Failed > len(r.Killed) {
		problem("%d scrapes failed, where the kills explain at most %d", r.Watch.Failed, len(r.Killed))
	}

	if len(r.Killed) != t.Kills {
		problem("%d workers were killed instead of %d", len(r.Killed), t.Kills)
	}
	for _, pid := range r.Lingered {
		problem("the live gauge of worker %d outlived it", pid)
	}
	if !slices.Equal(r.Shown, r.Workers) {
		problem("live gauges tell of workers %v, but %v are alive", r.Shown, r.Workers)
	}
	if r.InFlight != 0 {
		problem("%.0f requests in flight after the last answer", r.InFlight)
	}
	if t.Jobs > 0 {
		problems = append(problems, t.churnProblems(r.Churn)...)
	}
	return problems
}

// churnProblems lists the costs of history, and inexact totals.
func (t Trial) churnProblems(c *Churn) []string {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }

	if c.Jobs != t.Jobs {
		problem("%d jobs ran instead of %d", c.Jobs, t.Jobs)
	}
	for _, s := range c.Series {
		if s.Got != s.Want {
			problem("%s after all jobs", s)
		}
	}
	problems = append(problems, c.Watch.Faults...)
	if c.Watch.Failed > 0 {
		problem("%d scrapes failed while jobs ran, with no worker killed", c.Watch.Failed)
	}
	if c.Files > t.filesAllowed() {
		problem("%d files are left %v after the last job, want at most %d for %d workers",
			c.Files, c.Settled.Round(time.Millisecond), t.filesAllowed(), t.Workers)
	}
	return problems
}
