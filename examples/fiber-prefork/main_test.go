//go:build unix

package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/mpmetrics/mpmetrics/examples/internal/child"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
)

func TestMain(m *testing.M) { child.Main(m, main) }

const children = 3

// serve starts the service on a port that was free, and returns its address and the pids of its children.
func serve(t *testing.T, dir string) (service *child.Process, url string, pids []string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := child.Command(t, dir, "-listen", address)
	cmd.Env = append(cmd.Env, fmt.Sprintf("GOMAXPROCS=%d", children)) // for each of which Fiber starts one
	service = reexec.Run(t, cmd)
	for range children {
		pids = append(pids, service.Line())
	}
	url = "http://" + address
	promtest.Eventually(t, "the children listen", func() bool {
		_, err := promtest.Get(url + "/metrics")
		return err == nil
	})
	return service, url, pids
}

// get asks over a new connection: one that is kept leads to the same child each time.
func get(url string) (string, error) {
	http.DefaultClient.CloseIdleConnections()
	return promtest.Get(url)
}

// All children count as one, whichever of them answers, and so do those that were there before.
func TestChildrenCountAsOne(t *testing.T) {
	dir := testdir.New(t)
	sold, missing := 0, 0
	for range 2 {
		service, url, pids := serve(t, dir)
		answered := map[string]bool{}
		for n := range 60 {
			if n%6 == 0 {
				if _, err := get(url + "/books/0"); err == nil {
					t.Error("book 0 was found")
				}
				missing++
				continue
			}
			text, err := get(url + "/books/7")
			if err != nil {
				t.Fatal(err)
			}
			answered[strings.TrimSpace(text[strings.LastIndex(text, " ")+1:])] = true
			sold++
		}
		if len(answered) < 2 || len(pids) != children {
			t.Errorf("children %v answered of %v: too few to show something", answered, pids)
		}
		const name = `http_requests_total{method="GET",path="/books/:id",service="shop",status_code="%d"}`
		// Each child mirrors within a second. From then on every scrape says the same.
		promtest.Eventually(t, "all requests are counted", func() bool {
			text := promtest.Scrape(t, url+"/metrics")
			return promtest.Sample(text, fmt.Sprintf(name, 200)) == float64(sold) && promtest.Sample(text, fmt.Sprintf(name, 404)) == float64(missing)
		})
		for range 20 {
			text, err := get(url + "/metrics")
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				name string
				want int
			}{
				{fmt.Sprintf(name, 200), sold},
				{fmt.Sprintf(name, 404), missing},
				{`http_request_duration_seconds_count{method="GET",path="/books/:id",service="shop",status_code="200"}`, sold},
				{`http_request_duration_seconds_bucket{method="GET",path="/books/:id",service="shop",status_code="200",le="+Inf"}`, sold},
				{"mpmetrics_up", 1},
			} {
				if got := promtest.Sample(text, c.name); got != float64(c.want) {
					t.Fatalf("%s is %v, want %d\n%s", c.name, got, c.want, text)
				}
			}
		}
		service.Signal(syscall.SIGKILL) // the children see that, and end
		_, _ = service.Wait()
	}
}
