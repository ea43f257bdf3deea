package loadtest

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// The metrics that both see every request, one as a counter and one as a histogram.
const (
	requestsTotal   = "http_requests_total"
	requestDuration = "http_request_duration_seconds"
)

// Watch scrapes all through a load and judges every scrape by what is known at that moment. One goroutine uses it.
type Watch struct {
	load *Load
	last map[string]float64 // the totals of the scrape before

	Took    []time.Duration // of each scrape that was answered
	Failed  int             // scrapes whose connection broke: the worker that was to answer was killed
	LeftOut int             // scrapes that left the totals out and said so by mpmetrics_up 0: a gap, not a fault
	Dips    int             // totals that were lower than one scrape before
	Faults  []string        // what should never be, dips among it
}

// NewWatch returns a Watch that holds scrapes against load.
func NewWatch(load *Load) *Watch {
	return &Watch{load: load, last: make(map[string]float64)}
}

// Run scrapes url at an interval until ctx ends.
func (w *Watch) Run(ctx context.Context, url string, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			w.Once(context.WithoutCancel(ctx), url)
		}
	}
}

// Once scrapes url and judges the answer.
func (w *Watch) Once(ctx context.Context, url string) {
	answered := w.load.Answered.Load()
	scrape, err := Fetch(ctx, url)
	sent := w.load.Sent.Load()
	if err != nil {
		w.Failed++
		return
	}
	w.Took = append(w.Took, scrape.Took)
	w.judge(scrape, float64(answered), float64(sent))
}

// judge compares a scrape with the one before and with the load: what was answered before it is in it, what was
// not sent after it is not.
func (w *Watch) judge(scrape Scrape, answered, sent float64) {
	if up, ok := scrape.Sum("mpmetrics_up"); !ok || up == 0 {
		w.LeftOut++
		return
	}
	for _, name := range []string{requestsTotal, requestDuration} {
		total, _ := scrape.Sum(name)
		if total < w.last[name] {
			w.Dips++
			w.fault("%s went from %.0f down to %.0f", name, w.last[name], total)
		}
		w.last[name] = total
		if total < answered {
			w.fault("%s is %.0f when %.0f requests had been answered", name, total, answered)
		}
		if total > sent {
			w.fault("%s is %.0f when only %.0f requests had been sent", name, total, sent)
		}
	}
}

func (w *Watch) fault(format string, args ...any) {
	w.Faults = append(w.Faults, fmt.Sprintf(format, args...))
}

// Scrapes is how many scrapes were answered.
func (w *Watch) Scrapes() int { return len(w.Took) }

// Median is the time of the scrape in the middle.
func (w *Watch) Median() time.Duration {
	if len(w.Took) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(w.Took))
	return sorted[len(sorted)/2]
}

// Max is the time of the slowest scrape.
func (w *Watch) Max() time.Duration {
	if len(w.Took) == 0 {
		return 0
	}
	return slices.Max(w.Took)
}
