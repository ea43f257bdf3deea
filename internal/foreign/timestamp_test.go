package foreign

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// sample is a metric of one series with an explicit timestamp, in seconds; 0: none.
type sample struct {
	kind  prometheus.ValueType
	name  string
	label string
	v     float64
	at    int64
}

// send sends samples as metrics.
func send(ch chan<- prometheus.Metric, all []sample) {
	for _, s := range all {
		m := prometheus.MustNewConstMetric(prometheus.NewDesc(s.name, "h", []string{"l"}, nil), s.kind, s.v, s.label)
		if s.at != 0 {
			m = prometheus.NewMetricWithTimestamp(time.Unix(s.at, 0), m)
		}
		ch <- m
	}
}

// A gauge with explicit timestamps shows its newest sample, with the timestamp. Where several
// processes are added up, or not all series have a timestamp, the timestamps are dropped and
// counted. No series is lost.
func TestExplicitTimestamps(t *testing.T) {
	g, u, c := prometheus.GaugeValue, prometheus.UntypedValue, prometheus.CounterValue
	for _, test := range []struct {
		name    string
		mode    layout.Mode // configured; 0: none
		show    []sample
		want    map[string]string // value and timestamp by series
		dropped int
	}{
		{name: "a gauge", show: []sample{{g, "f", "a", 80, 1000}}, want: map[string]string{"a": "80@1000"}},
		{name: "an untyped sample", show: []sample{{u, "f", "a", 80, 1000}}, want: map[string]string{"a": "80@1000"}},
		{name: "a series twice, the newest last", show: []sample{{g, "f", "a", 1, 1000}, {g, "f", "b", 5, 500}, {g, "f", "a", 2, 2000}}, want: map[string]string{"a": "2@2000", "b": "5@500"}},
		{name: "a series twice, the newest first", show: []sample{{g, "f", "a", 2, 2000}, {g, "f", "a", 1, 1000}, {g, "f", "b", 5, 500}}, want: map[string]string{"a": "2@2000", "b": "5@500"}},
		{name: "a series beside it has none", show: []sample{{g, "f", "cellar", 5, 0}, {g, "f", "a", 1, 1000}, {g, "f", "a", 2, 2000}}, want: map[string]string{"cellar": "5", "a": "2"}, dropped: 1},
		{name: "a counter", show: []sample{{c, "f", "a", 80, 1000}, {c, "f", "b", 1, 0}}, want: map[string]string{"a": "80", "b": "1"}, dropped: 1},
		{name: "a counter twice", show: []sample{{c, "f", "a", 80, 2000}, {c, "f", "a", 70, 1000}}, want: map[string]string{"a": "80"}, dropped: 1},
		{name: "a gauge with a configured mode", mode: layout.Max, show: []sample{{g, "f", "a", 80, 1000}}, want: map[string]string{"a": "80"}, dropped: 1},
	} {
		for _, anew := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/anew=%v", test.name, anew), func(t *testing.T) {
				w := newWorld(t)
				if test.mode != 0 {
					w.modes["f"] = test.mode
				}
				var kept []prometheus.Metric
				ch := make(chan prometheus.Metric, 10)
				send(ch, test.show)
				close(ch)
				for m := range ch {
					kept = append(kept, m)
				}
				w.add(collect(func(ch chan<- prometheus.Metric) {
					if anew {
						send(ch, test.show)
						return
					}
					for _, m := range kept {
						ch <- m
					}
				}))
				for range 3 {
					got := map[string]string{}
					for _, m := range w.flush()[0].Metric {
						text := fmt.Sprint(numberOf(m))
						if m.TimestampMs != nil {
							text += fmt.Sprint("@", m.GetTimestampMs()/1000)
						}
						got[m.Label[0].GetValue()] = text
					}
					if fmt.Sprint(got) != fmt.Sprint(test.want) {
						t.Errorf("%v, want %v", got, test.want)
					}
				}
				if w.unmirrored[reasonTimestamp] != test.dropped || w.unmirrored[reasonError] != 0 {
					t.Errorf("counted %v, want %d timestamps", w.unmirrored, test.dropped)
				}
			})
		}
	}
}

// A family whose series get timestamps, or lose them, shows both as they are.
func TestTimestampsThatComeAndGo(t *testing.T) {
	w := newWorld(t)
	var show []sample
	w.add(collect(func(ch chan<- prometheus.Metric) { send(ch, show) }))
	g := prometheus.GaugeValue
	for n, step := range []struct {
		show    []sample
		stamped bool
	}{
		{show: []sample{{g, "f", "a", 1, 0}, {g, "f", "b", 1, 0}}},
		{show: []sample{{g, "f", "a", 1, 10}, {g, "f", "b", 1, 0}}},
		{show: []sample{{g, "f", "a", 1, 10}, {g, "f", "b", 1, 20}}, stamped: true},
		{show: []sample{{g, "f", "a", 1, 30}, {g, "f", "b", 1, 20}}, stamped: true},
		{show: []sample{{g, "f", "a", 1, 30}, {g, "f", "b", 1, 20}, {g, "f", "c", 1, 0}}},
		{show: []sample{{g, "f", "a", 1, 30}}, stamped: true},
	} {
		show = step.show
		for _, m := range w.flush()[0].Metric {
			for _, s := range show {
				if s.label != m.Label[0].GetValue() {
					continue
				}
				if stamped := m.TimestampMs != nil; stamped != step.stamped || stamped && m.GetTimestampMs() != 1000*s.at {
					t.Errorf("step %d: series %s has timestamp %d", n, s.label, m.GetTimestampMs())
				}
			}
		}
	}
}
