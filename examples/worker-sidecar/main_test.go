//go:build unix

package main

import (
	"strings"
	"testing"

	"github.com/mpmetrics/mpmetrics/examples/internal/child"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
)

func TestMain(m *testing.M) { child.Main(m, main) }

// A worker that was killed is shown as it was: its counts stay, its queue is gone.
func TestSidecarServesTheDead(t *testing.T) {
	dir := testdir.New(t)
	sample := func(url, name string) float64 { return promtest.Sample(promtest.Scrape(t, url), name) }
	url := child.Start(t, dir, "-listen", "127.0.0.1:0").Line() // before any worker
	if got := sample(url, "mail_sent_total"); got != -1 {
		t.Errorf("before any worker there are %v mails", got)
	}
	first, second := child.Start(t, dir, "-worker"), child.Start(t, dir, "-worker")
	for range 20 {
		first.Line()
		second.Line()
	}
	if got := sample(url, "mail_queue_length"); got != 6 {
		t.Errorf("the queues of two workers: %v, want 6", got)
	}
	sent := 40 + strings.Count(string(first.Kill()), "\n") + strings.Count(string(second.Kill()), "\n")
	got := sample(url, "mail_sent_total")
	if got < float64(sent) || got > float64(sent+2) { // each may have counted one that it did not say
		t.Errorf("%v mails after both were killed, they said %d", got, sent)
	}
	if got := sample(url, "mail_queue_length"); got != -1 {
		t.Errorf("%v mails wait in workers that are dead", got)
	}
	third := child.Start(t, dir, "-worker")
	third.Line()
	if now := sample(url, "mail_sent_total"); now <= got {
		t.Errorf("%v mails with a third worker, %v before", now, got)
	}
}
