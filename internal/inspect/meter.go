package inspect

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/merge"
	"github.com/mpmetrics/mpmetrics/internal/selector"
)

// Meter reads a directory repeatedly, and computes rates. Only one goroutine may use a Meter at a
// time.
type Meter struct {
	inspector *Inspector
	match     *selector.Selector
	filter    string

	last      time.Time
	series    map[string]float64 // by SeriesText
	processes map[string]float64 // by file
}

// NewMeter returns a Meter of the series that match a selector; nil matches all.
func NewMeter(i *Inspector, match *selector.Selector) *Meter {
	return &Meter{inspector: i, match: match}
}

// Filter restricts the following readings to series with a text in their name or labels, in the
// form of SeriesText, regardless of case. The first reading after a new text has no rates.
func (m *Meter) Filter(text string) {
	if text = strings.ToLower(text); text != m.filter {
		m.filter, m.series, m.processes = text, nil, nil
	}
}

// Moment is one reading of a Meter.
type Moment struct {
	*Survey
	Interval  time.Duration // since the reading before; 0: there is none to compare with
	Rate      float64       // of all processes
	Processes []ProcessRate
	Series    []SeriesRate
}

// ProcessRate is the rate of a process: the growth per second of its counters, and of the counts
// of its histograms and summaries.
type ProcessRate struct {
	*Process
	Matching int // number of series in Total
	Total    float64
	Rate     float64
}

// SeriesRate is how fast a merged series grows. A gauge has the rate 0.
type SeriesRate struct {
	*Value
	Rate float64
}

// Next reads once more.
func (m *Meter) Next() *Moment {
	s := m.inspector.Read()
	now := &Moment{Survey: s}
	if m.series != nil {
		now.Interval = s.Time.Sub(m.last)
	}
	seconds := now.Interval.Seconds()
	rate := func(before map[string]float64, key string, v float64) float64 {
		// A new key has no rate yet: a new file may have been counting for long.
		old, known := before[key]
		if !known || seconds <= 0 {
			return 0
		}
		return max(0, v-old) / seconds
	}
	series, processes := map[string]float64{}, map[string]float64{}
	of, families := map[*merge.Series]bool{}, map[*merge.Series]*Family{}
	for _, v := range s.Select(m.match) {
		text := v.Series()
		if m.filter != "" && !strings.Contains(strings.ToLower(text), m.filter) {
			continue
		}
		r := SeriesRate{Value: v}
		if v.Family.Type.Cumulative() {
			of[v.merged], families[v.merged] = true, v.Family
			series[text] = v.Number()
			r.Rate = rate(m.series, text, v.Number())
		}
		now.Series = append(now.Series, r)
	}
	for _, p := range s.Processes {
		r := ProcessRate{Process: p}
		for merged, part := range s.inspector.scanner.Parts(p.seen, of) {
			r.Total += number(families[merged], part.Series, part.Counter)
			r.Matching++
		}
		if p.Contributes() {
			processes[p.Name] = r.Total
			r.Rate = rate(m.processes, p.Name, r.Total)
			now.Rate += r.Rate
		}
		now.Processes = append(now.Processes, r)
	}
	m.last, m.series, m.processes = s.Time, series, processes
	slices.SortStableFunc(now.Series, func(a, b SeriesRate) int { return cmp.Compare(b.Rate, a.Rate) })
	slices.SortStableFunc(now.Processes, func(a, b ProcessRate) int { return cmp.Compare(b.Rate, a.Rate) })
	return now
}

// Count returns how many processes are in a state.
func (s *Survey) Count(state State) (n int) {
	for _, p := range s.Processes {
		if p.State == state {
			n++
		}
	}
	return n
}
