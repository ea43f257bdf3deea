package loadtest

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestProblems(t *testing.T) {
	trial := Trial{Workers: 2, Clients: 4, Kills: 1, Jobs: 30}
	tests := []struct {
		name  string
		spoil func(*Result)
		want  string // part of the only problem; "" for none
	}{
		{name: "exact", spoil: func(*Result) {}, want: ""},
		{name: "all broken requests were counted", spoil: func(r *Result) { r.Counted, r.Observed = 103, 103 }, want: ""},
		{name: "one request lost", spoil: func(r *Result) { r.Counted = 99 }, want: "http_requests_total is 99"},
		{name: "one request twice", spoil: func(r *Result) { r.Counted = 104 }, want: "http_requests_total is 104"},
		{name: "one observation lost", spoil: func(r *Result) { r.Observed = 99 }, want: "99 observations"},
		{name: "one observation twice", spoil: func(r *Result) { r.Observed = 104 }, want: "104 observations"},
		{name: "a status of 500", spoil: func(r *Result) { r.Wrong, r.Sent = 1, 105 }, want: "answered with an error"},
		{name: "a request forgotten", spoil: func(r *Result) { r.Sent = 105 }, want: "does not add up"},
		{name: "requests break without a kill", spoil: func(r *Result) { r.Broken, r.Sent = 5, 106 }, want: "explain at most 4"},
		{name: "scrapes fail without a kill", spoil: func(r *Result) { r.Watch.Failed = 2 }, want: "explain at most 1"},
		{name: "no scrape", spoil: func(r *Result) { r.Watch.Took = nil }, want: "no scrape"},
		{name: "a dip", spoil: func(r *Result) { r.Watch.Faults = []string{"went down"} }, want: "went down"},
		{name: "nobody killed", spoil: func(r *Result) { r.Killed, r.Broken, r.Sent = nil, 0, 101 }, want: "0 workers were killed"},
		{name: "gauge of the dead", spoil: func(r *Result) { r.Lingered = []int{1} }, want: "outlived"},
		{name: "dead worker shown", spoil: func(r *Result) { r.Shown = []int{1, 2, 3} }, want: "[1 2 3]"},
		{name: "dead request in flight", spoil: func(r *Result) { r.InFlight = 1 }, want: "1 requests in flight"},
		{name: "a job forgotten", spoil: func(r *Result) { r.Churn.Jobs = 29 }, want: "29 jobs ran"},
		{
			name:  "a total off by one bit",
			spoil: func(r *Result) { r.Churn.Series[0].Got = math.Nextafter(0.1, 1) },
			want:  `{payment="card"} 0.10000000000000002 of 0.1`,
		},
		{name: "a dip between jobs", spoil: func(r *Result) { r.Churn.Watch.Faults = []string{"went down"} }, want: "went down"},
		{name: "scrapes fail between jobs", spoil: func(r *Result) { r.Churn.Watch.Failed = 1 }, want: "1 scrapes failed"},
		{name: "as many files as may be", spoil: func(r *Result) { r.Churn.Files = 6 }, want: ""},
		{name: "files of the dead", spoil: func(r *Result) { r.Churn.Files = 7 }, want: "7 files are left"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			result := Result{
				Workers: []int{2, 3}, Killed: []int{1}, Shown: []int{2, 3},
				Sent: 104, Answered: 100, Broken: 3, Refused: 1,
				Counted: 100, Observed: 100,
				Watch: &Watch{Took: []time.Duration{time.Millisecond}},
				Churn: &Churn{
					Jobs: 30, Files: 4, Watch: new(Watch),
					Series: []Tally{{Total: Total{Family: billedEuros, Label: "payment", Value: "card"}, Got: 0.1, Want: 0.1}},
				},
			}
			test.spoil(&result)
			problems := trial.Problems(result)
			switch {
			case test.want == "" && len(problems) > 0:
				t.Errorf("got problems %q, want none", problems)
			case test.want != "" && (len(problems) != 1 || !strings.Contains(problems[0], test.want)):
				t.Errorf("got problems %q, want one with %q", problems, test.want)
			}
		})
	}
}
