package loadtest

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Bounds are a witness's bounds of a total at any moment.
type Bounds struct {
	Total
	Least func() float64 // finished work: every later scrape has at least so much
	Most  func() float64 // started work: no earlier scrape has more
}

// Watch scrapes all through a trial and judges every scrape by the bounds at the moment. Only one
// goroutine may use a Watch.
type Watch struct {
	bounds []Bounds
	last   map[Total]float64 // totals of the newest scrape with totals

	Took    []time.Duration // of each answered scrape
	Failed  int             // scrapes with a broken connection: the answering worker was killed
	LeftOut int             // scrapes without totals and with mpmetrics_up 0: a gap, not a fault
	Dips    int             // totals lower than in the previous scrape
	Faults  []string        // faults, dips included
}

// NewWatch returns a Watch with bounds.
func NewWatch(bounds ...Bounds) *Watch {
	return &Watch{bounds: bounds, last: make(map[Total]float64)}
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

// Times scrapes url n times, in sequence, and returns the median time.
func (w *Watch) Times(ctx context.Context, url string, n int) time.Duration {
	from := len(w.Took)
	for range n {
		w.Once(ctx, url)
	}
	return median(w.Took[from:])
}

// Once scrapes url and judges the answer.
func (w *Watch) Once(ctx context.Context, url string) {
	least := make([]float64, len(w.bounds))
	for i, b := range w.bounds {
		least[i] = b.Least()
	}
	scrape, err := Fetch(ctx, url)
	if err != nil {
		w.Failed++
		return
	}
	w.Took = append(w.Took, scrape.Took)
	w.judge(scrape, least)
}

// judge compares a scrape with the previous scrape and with the bounds. least was taken before the
// scrape.
func (w *Watch) judge(scrape Scrape, least []float64) {
	if up, ok := scrape.Sum("mpmetrics_up"); !ok || up == 0 {
		w.LeftOut++
		return
	}
	for i, b := range w.bounds {
		total, _ := scrape.Total(b.Total)
		if total < w.last[b.Total] {
			w.Dips++
			w.fault("%s went from %v down to %v", b.Total, w.last[b.Total], total)
		}
		w.last[b.Total] = total
		if total < least[i] {
			w.fault("%s is %v when %v was done", b.Total, total, least[i])
		}
		if most := b.Most(); total > most {
			w.fault("%s is %v when only %v had begun", b.Total, total, most)
		}
	}
}

func (w *Watch) fault(format string, args ...any) {
	w.Faults = append(w.Faults, fmt.Sprintf(format, args...))
}

// Last is a total in the newest scrape with the total.
func (w *Watch) Last(t Total) float64 { return w.last[t] }

// Scrapes is how many scrapes were answered.
func (w *Watch) Scrapes() int { return len(w.Took) }

// Median is the time of the scrape in the middle.
func (w *Watch) Median() time.Duration { return median(w.Took) }

func median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[len(sorted)/2]
}

// Max is the time of the slowest scrape.
func (w *Watch) Max() time.Duration {
	if len(w.Took) == 0 {
		return 0
	}
	return slices.Max(w.Took)
}
