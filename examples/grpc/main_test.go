//go:build unix

package main

import (
	"fmt"
	"testing"

	"github.com/mpmetrics/mpmetrics/examples/internal/child"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
)

func TestMain(m *testing.M) { child.Main(m, main) }

type server struct {
	*child.Process
	address, metrics string
}

func start(t *testing.T, dir string) *server {
	t.Helper()
	s := &server{Process: child.Start(t, dir, "-listen", "127.0.0.1:0", "-metrics", "127.0.0.1:0")}
	line := s.Line()
	if _, err := fmt.Sscan(line, &s.address, &s.metrics); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	s.metrics = "http://" + s.metrics + "/metrics"
	return s
}

// Calls to two servers are counted as one, with the histogram of their times, also once one of them was killed.
func TestServersCountAsOne(t *testing.T) {
	dir := testdir.New(t)
	servers := []*server{start(t, dir), start(t, dir)}
	calls := map[string]int{}
	load := func(s *server, n int) {
		for i := range n {
			service, code := "", "OK"
			if i%4 == 0 {
				service, code = "nobody", "NotFound"
			}
			if err := call(t.Context(), s.address, service); (err != nil) != (service != "") {
				t.Fatal(err)
			}
			calls[code]++
		}
	}
	const rpc = `grpc_method="Check",grpc_service="grpc.health.v1.Health",grpc_type="unary"`
	counted := func(s *server) func() bool {
		return func() bool {
			text := promtest.Scrape(t, s.metrics)
			ok := true
			for code, n := range calls {
				ok = ok && promtest.Sample(text, fmt.Sprintf(`grpc_server_handled_total{grpc_code="%s",%s}`, code, rpc)) == float64(n)
			}
			all := float64(calls["OK"] + calls["NotFound"])
			return ok && promtest.Sample(text, fmt.Sprintf(`grpc_server_started_total{%s}`, rpc)) == all &&
				promtest.Sample(text, fmt.Sprintf(`grpc_server_handling_seconds_count{%s}`, rpc)) == all &&
				// Of methods that nobody called there are zeros, as in one process.
				promtest.Sample(text, `grpc_server_started_total{grpc_method="Watch",grpc_service="grpc.health.v1.Health",grpc_type="server_stream"}`) == 0
		}
	}
	load(servers[0], 20)
	load(servers[1], 30)
	for _, s := range servers {
		promtest.Eventually(t, "calls of both are in the scrape of each", counted(s))
	}
	servers[0].Kill() // after its last flush
	if !counted(servers[1])() {
		t.Errorf("calls are gone with the server:\n%s", promtest.Scrape(t, servers[1].metrics))
	}
	third := start(t, dir)
	load(third, 10)
	promtest.Eventually(t, "a third one is counted too", counted(servers[1]))
}
