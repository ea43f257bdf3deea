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
		{"exact", func(*Result) {}, ""},
		{"all broken requests were counted", func(r *Result) { r.Counted, r.Observed = 103, 103 }, ""},
		{"one request lost", func(r *Result) { r.Counted = 99 }, "http_requests_total is 99"},
		{"one request twice", func(r *Result) { r.Counted = 104 }, "http_requests_total is 104"},
		{"one observation lost", func(r *Result) { r.Observed = 99 }, "99 observations"},
		{"one observation twice", func(r *Result) { r.Observed = 104 }, "104 observations"},
		{"a status of 500", func(r *Result) { r.Wrong, r.Sent = 1, 105 }, "answered with an error"},
		{"a request forgotten", func(r *Result) { r.Sent = 105 }, "does not add up"},
		{"requests break without a kill", func(r *Result) { r.Broken, r.Sent = 5, 106 }, "explain at most 4"},
		{"scrapes fail without a kill", func(r *Result) { r.Watch.Failed = 2 }, "explain at most 1"},
		{"no scrape", func(r *Result) { r.Watch.Took = nil }, "no scrape"},
		{"a dip", func(r *Result) { r.Watch.Faults = []string{"went down"} }, "went down"},
		{"nobody killed", func(r *Result) { r.Killed, r.Broken, r.Sent = nil, 0, 101 }, "0 workers were killed"},
		{"gauge of the dead", func(r *Result) { r.Lingered = []int{1} }, "outlived"},
		{"dead worker shown", func(r *Result) { r.Shown = []int{1, 2, 3} }, "[1 2 3]"},
		{"dead request in flight", func(r *Result) { r.InFlight = 1 }, "1 requests in flight"},
		{"a job forgotten", func(r *Result) { r.Churn.Jobs = 29 }, "29 jobs ran"},
		{"a total off by one bit", func(r *Result) { r.Churn.Series[0].Got = math.Nextafter(0.1, 1) }, `{payment="card"} 0.10000000000000002 of 0.1`},
		{"a dip between jobs", func(r *Result) { r.Churn.Watch.Faults = []string{"went down"} }, "went down"},
		{"scrapes fail between jobs", func(r *Result) { r.Churn.Watch.Failed = 1 }, "1 scrapes failed"},
		{"as many files as may be", func(r *Result) { r.Churn.Files = 6 }, ""},
		{"files of the dead", func(r *Result) { r.Churn.Files = 7 }, "7 files are left"},
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
					Series: []Tally{{Total: Total{billedEuros, "payment", "card"}, Got: 0.1, Want: 0.1}},
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
