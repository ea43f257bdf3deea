//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/store"
)

// gracefulEnv makes the test binary the program.
const gracefulEnv = "GRACEFUL_TEST_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(gracefulEnv) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// versions prints a line for each process of the service.
type versions struct{ lines *bufio.Scanner }

// next is the pid and the address of the next one.
func (v *versions) next(t *testing.T) (pid int, address string) {
	t.Helper()
	if !v.lines.Scan() {
		t.Fatalf("no line: %v", v.lines.Err())
	}
	if _, err := fmt.Sscan(v.lines.Text(), &pid, &address); err != nil {
		t.Fatalf("%q: %v", v.lines.Text(), err)
	}
	return pid, address
}

func get(url string) (string, error) {
	answer, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return string(b), err
}

// sample is the value of a sample in a text, -1 if it is not there.
func sample(text, name string) float64 {
	for line := range strings.Lines(text) {
		var v float64
		if _, err := fmt.Sscanf(line, name+" %g", &v); err == nil {
			return v
		}
	}
	return -1
}

// Three versions, one after the other, under load: each answered request is counted, and no scrape on the way shows
// less than the one before.
func TestReplacedUnderLoad(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "mpmetrics-test-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.Command(os.Args[0], "-listen", "127.0.0.1:0", "-pause", "5ms")
	cmd.Env = append(os.Environ(), gracefulEnv+"=1", store.EnvDir+"="+dir, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v := &versions{bufio.NewScanner(out)}
	pid, address := v.next(t)
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
				if _, err := get(url + "/work"); err != nil {
					t.Errorf("a request was not answered: %v", err)
				}
				n++
			}
		})
	}
	last, scrapes := -1.0, 0
	scrape := func() string {
		text, err := get(url + "/metrics")
		if err != nil {
			t.Errorf("scrape: %v", err)
			return ""
		}
		scrapes++
		if n := sample(text, "work_requests_total"); n < last || sample(text, "mpmetrics_up") != 1 {
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
		if pid, _ = v.next(t); pid == old {
			t.Fatal("the new process has the pid of the old one")
		}
	}
	for limit := time.Now().Add(20 * time.Second); sample(scrape(), "work_processes") != 1; {
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
	if n := sample(scrape(), "work_requests_total"); n != float64(total) {
		t.Errorf("%v requests are counted, %d were answered", n, total)
	}
	t.Logf("%d requests, %d scrapes", total, scrapes)
	_ = cmd.Wait() // the first version has ended
}
