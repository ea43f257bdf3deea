//go:build unix

package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mpmetrics/mpmetrics/store"
)

// served is the sidecar of a script.
type served struct {
	cmd *exec.Cmd
	url string
	log *bufio.Reader
}

type sidecarKey struct{}

// startSidecar starts the sidecar on a free port: sidecar FLAG... fetch asks it.
func startSidecar(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: sidecar FLAG...")
	}
	path, err := exec.LookPath(program)
	ts.Check(err)
	cmd := exec.Command(path, append([]string{"serve", "--web.listen-address", "127.0.0.1:0", "--web.interval", "100ms"}, args...)...)
	cmd.Dir = ts.Getenv("WORK")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "GORACE", "GOCOVERDIR", store.EnvDir, store.EnvURL} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	log, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	s := &served{cmd: cmd, log: bufio.NewReader(log)}
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for s.url == "" {
		line, err := s.log.ReadString('\n')
		if err != nil {
			ts.Fatalf("the sidecar ends: %s", line)
		}
		if _, rest, found := strings.Cut(line, `msg="Listening on" address=`); found {
			s.url = "http://" + strings.Fields(rest)[0]
		}
	}
	ts.Value(sidecarKey{}).(map[string]*served)[""] = s
}

func sidecarOf(ts *testscript.TestScript) *served {
	s := ts.Value(sidecarKey{}).(map[string]*served)[""]
	if s == nil {
		ts.Fatalf("no sidecar runs")
	}
	return s
}

// fetchPage asks the sidecar until an answer has a text: fetch STATUS PATH TEXT. What it
// answered is on standard output.
func fetchPage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: fetch STATUS PATH TEXT")
	}
	s := sidecarOf(ts)
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		answer, err := http.Get(s.url + args[1])
		ts.Check(err)
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		ts.Check(err)
		if fmt.Sprint(answer.StatusCode) == args[0] && strings.Contains(string(body), args[2]) {
			fmt.Fprint(ts.Stdout(), string(body))
			return
		}
		if time.Now().After(limit) {
			ts.Fatalf("%s: %s\n%s", args[1], answer.Status, body)
		}
	}
}

// endSidecar tells the sidecar to end, and waits until it has, with status 0: ends.
func endSidecar(ts *testscript.TestScript, neg bool, args []string) {
	s := sidecarOf(ts)
	ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
	rest, err := io.ReadAll(s.log)
	ts.Check(err)
	ts.Check(s.cmd.Wait())
	fmt.Fprint(ts.Stdout(), string(rest))
}
