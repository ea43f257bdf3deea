package loadtest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// TestWatch shows a Watch one scrape after the other and counts what it finds.
func TestWatch(t *testing.T) {
	const format = "# TYPE mpmetrics_up gauge\nmpmetrics_up %d\n" +
		"# TYPE http_requests_total counter\nhttp_requests_total %d\n" +
		"# TYPE http_request_duration_seconds histogram\n" +
		"http_request_duration_seconds_bucket{le=\"+Inf\"} %[2]d\n" +
		"http_request_duration_seconds_sum 1\nhttp_request_duration_seconds_count %[2]d\n"
	var up, total atomic.Int64 // what the server shows next
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if up.Load() < 0 {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, format, up.Load(), total.Load())
	}))
	defer server.Close()

	load := new(Load)
	watch := NewWatch(load.Bounds()...)
	steps := []struct {
		name                          string
		up, total                     int64
		answered, sent                int64
		failed, leftOut, dips, faults int // so far
	}{
		{name: "as many as were answered", up: 1, total: 100, answered: 100, sent: 104, failed: 0, leftOut: 0, dips: 0, faults: 0},
		{name: "as many as were sent", up: 1, total: 104, answered: 100, sent: 104, failed: 0, leftOut: 0, dips: 0, faults: 0},
		{name: "left out", up: 0, total: 0, answered: 100, sent: 104, failed: 0, leftOut: 1, dips: 0, faults: 0},
		{name: "connection broken", up: -1, total: 0, answered: 100, sent: 104, failed: 1, leftOut: 1, dips: 0, faults: 0},
		{name: "a dip in both, but enough", up: 1, total: 103, answered: 100, sent: 104, failed: 1, leftOut: 1, dips: 2, faults: 2},
		{name: "too few", up: 1, total: 104, answered: 105, sent: 110, failed: 1, leftOut: 1, dips: 2, faults: 4},
		{name: "too many", up: 1, total: 111, answered: 105, sent: 110, failed: 1, leftOut: 1, dips: 2, faults: 6},
	}
	for _, step := range steps {
		up.Store(step.up)
		total.Store(step.total)
		load.Answered.Store(step.answered)
		load.Sent.Store(step.sent)
		watch.Once(context.Background(), server.URL)
		got := [4]int{watch.Failed, watch.LeftOut, watch.Dips, len(watch.Faults)}
		if want := [4]int{step.failed, step.leftOut, step.dips, step.faults}; got != want {
			t.Fatalf("%s: failed, left out, dips, faults: got %v, want %v; faults %q", step.name, got, want, watch.Faults)
		}
	}
	if got, want := watch.Scrapes(), 6; got != want {
		t.Errorf("got %d scrapes, want %d", got, want)
	}
}
