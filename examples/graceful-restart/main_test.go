//go:build unix

package main

import (
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/examples/internal/child"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
)

func TestMain(m *testing.M) { child.Main(m, main) }

// next is the pid and the address of the next process of the service, each of which prints a line.
func next(t *testing.T, service *child.Process) (pid int, address string) {
	t.Helper()
	line := service.Line()
	if _, err := fmt.Sscan(line, &pid, &address); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return pid, address
}

// Three versions, one after the other, under load: each answered request is counted, and no scrape on the way shows
// less than the one before.
func TestReplacedUnderLoad(t *testing.T) {
	// A server may close a connection that is idle while the next request is on its way. Clients send it again then, and
	// the server may have counted it: with one connection for each request nobody sends one twice.
	http.DefaultTransport.(*http.Transport).DisableKeepAlives = true
	service := child.Start(t, testdir.New(t), "-listen", "127.0.0.1:0", "-pause", "5ms")
	pid, address := next(t, service)
	// Those before the last one end by themselves.
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGTERM) })
	url := "http://" + address

	stop := make(chan struct{})
	answered := make(chan int, 4)
	var load sync.WaitGroup
	for range cap(answered) {
		load.Go(func() {
			n := 0
			for {
				select {
				case <-stop:
					answered <- n
					return
				default:
				}
				if _, err := promtest.Get(url + "/work"); err != nil {
					t.Errorf("a request was not answered: %v", err)
				}
				n++
			}
		})
	}
	last, scrapes := -1.0, 0
	scrape := func() string {
		text, err := promtest.Get(url + "/metrics")
		if err != nil {
			t.Errorf("scrape: %v", err)
			return ""
		}
		scrapes++
		if n := promtest.Sample(text, "work_requests_total"); n < last || promtest.Sample(text, "mpmetrics_up") != 1 {
			t.Errorf("scrape %d: %v requests, %v before", scrapes, n, last)
		} else {
			last = n
		}
		return text
	}
	for range 2 {
		for begin := time.Now(); time.Since(begin) < 500*time.Millisecond; {
			scrape()
		}
		if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		old := pid
		if pid, _ = next(t, service); pid == old {
			t.Fatal("the new process has the pid of the old one")
		}
	}
	for limit := time.Now().Add(20 * time.Second); promtest.Sample(scrape(), "work_processes") != 1; {
		if time.Now().After(limit) {
			t.Fatal("the old processes still serve")
		}
	}
	close(stop)
	load.Wait()
	total := 0
	for range cap(answered) {
		total += <-answered
	}
	if n := promtest.Sample(scrape(), "work_requests_total"); n != float64(total) {
		t.Errorf("%v requests are counted, %d were answered", n, total)
	}
	t.Logf("%d requests, %d scrapes", total, scrapes)
}
