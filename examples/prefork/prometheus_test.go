package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/examples/prefork/internal/loadtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/promserver"
)

// TestPrometheusSeesEveryRequest lets a real Prometheus server scrape the service while workers are killed. What
// its samples rose by is what the clients saw answered: to Prometheus the kills never happened.
func TestPrometheusSeesEveryRequest(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const workers, clients, kills = 4, 8, 2
	const requests = `http_requests_total{code="200",method="post"}`
	ctx := t.Context()
	binary := build(t)
	server := promserver.FindTool(t, "prometheus")

	service, err := loadtest.Start(ctx, binary, metricsDir(t), workers, stderrOf(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := service.Stop(); err != nil {
			t.Error(err)
		}
	})

	// The first sample of a counter is where Prometheus begins to count: it must be in before the load.
	load := new(loadtest.Load)
	load.Send(ctx, service.URL()+"/work", 100)
	before := load.Answered.Load()
	prom := promserver.Start(t, server, strings.TrimPrefix(service.URL(), "http://"))
	prom.WaitForSample(t, `up`, func(s promserver.Sample) bool { return s.Value == 1 })
	first := prom.WaitForSample(t, requests, func(promserver.Sample) bool { return true })
	if first.Value != float64(before) {
		t.Fatalf("first sample: got %v, want %d", first.Value, before)
	}

	killed := loadWithKills(ctx, t, service, load, clients, kills)
	answered, broken := load.Answered.Load()-before, load.Broken.Load()
	// Only a scrape that begins now has all of them.
	now := float64(time.Now().UnixMilli()) / 1000
	last := prom.WaitForSample(t, requests, func(s promserver.Sample) bool { return s.Time > now })

	rise := last.Value - first.Value
	if rise < float64(answered) || rise > float64(answered+broken) {
		t.Errorf("Prometheus saw %v requests, want %d answered and at most %d broken ones more", rise, answered, broken)
	}
	samples := prom.Samples(t, requests, first, last)
	if !slices.IsSortedFunc(samples, func(a, b promserver.Sample) int { return cmp.Compare(a.Value, b.Value) }) {
		t.Errorf("the counter went down: %v", samples)
	}
	for _, query := range []string{`resets(http_requests_total[10m]) > 0`, `resets(http_request_duration_seconds_count[10m]) > 0`} {
		if found := prom.Query(t, query); len(found) > 0 {
			t.Errorf("%s: got %v, want nothing", query, found)
		}
	}
	downs := prom.Query(t, `count_over_time(up[10m]) - sum_over_time(up[10m])`)
	if len(downs) != 1 || downs[0].Last().Value > kills {
		t.Errorf("failed scrapes: got %v, want one series of at most %d, those that a killed worker was to answer", downs, kills)
	}

	var alive []string
	for _, pid := range service.Workers() {
		alive = append(alive, strconv.Itoa(pid))
	}
	var shown []string
	for _, found := range prom.Query(t, `worker_start_time_seconds`) {
		shown = append(shown, found.Metric["process"])
	}
	slices.Sort(alive)
	slices.Sort(shown)
	if !slices.Equal(shown, alive) {
		t.Errorf("workers shown: got %v, want %v; killed were %v", shown, alive, killed)
	}
	t.Logf("%d answered, %d broken, %v seen by Prometheus in %d samples", answered, broken, rise, len(samples))
}

// loadWithKills sends requests for some seconds, kills workers meanwhile, and returns whom.
func loadWithKills(ctx context.Context, t *testing.T, service *loadtest.Service, load *loadtest.Load, clients, kills int) []int {
	t.Helper()
	const between = 3 * time.Second // a few scrapes
	loading, enough := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		load.Run(loading, service.URL()+"/work", clients)
	}()
	defer func() {
		enough()
		<-done
	}()

	workers := len(service.Workers())
	var killed []int
	for range kills {
		time.Sleep(between)
		victim := service.Workers()[0]
		if err := errors.Join(service.Kill(ctx, victim), service.WaitWorkers(ctx, workers)); err != nil {
			t.Fatal(err)
		}
		killed = append(killed, victim)
	}
	time.Sleep(between)
	return killed
}

// TestPromtoolIsContent feeds what a worker exposes to Prometheus' own linter, which has to have nothing to say.
func TestPromtoolIsContent(t *testing.T) {
	binary := build(t)
	promtool := promserver.FindTool(t, "promtool")
	service, err := loadtest.Start(t.Context(), binary, metricsDir(t), 2, stderrOf(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := service.Stop(); err != nil {
			t.Error(err)
		}
	})
	new(loadtest.Load).Send(t.Context(), service.URL()+"/work", 10)
	if err := service.Kill(t.Context(), service.Workers()[0]); err != nil {
		t.Fatal(err)
	}

	response, err := http.Get(service.URL() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	lint := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	lint.Stdin = strings.NewReader(string(text))
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s\nof\n%s", err, out, text)
	}
}
