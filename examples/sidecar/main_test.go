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
	"testing"

	"github.com/mpmetrics/mpmetrics/store"
)

// sidecarEnv makes the test binary the program.
const sidecarEnv = "SIDECAR_TEST_RUN"

func TestMain(m *testing.M) {
	if os.Getenv(sidecarEnv) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process is the program, running.
type process struct {
	cmd *exec.Cmd
	out *bufio.Reader
}

func start(t *testing.T, dir string, arguments ...string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], arguments...)
	cmd.Env = append(os.Environ(), sidecarEnv+"=1", store.EnvDir+"="+dir, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd, bufio.NewReader(out)}
	t.Cleanup(func() { p.kill() })
	return p
}

// line is the next line that the process prints.
func (p *process) line(t *testing.T) string {
	t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

// kill kills the process and returns what it has printed since: it stays in the pipe.
func (p *process) kill() []byte {
	if p.cmd.ProcessState != nil {
		return nil
	}
	_ = p.cmd.Process.Kill() // it may have ended by itself
	rest, _ := io.ReadAll(p.out)
	_ = p.cmd.Wait() // which says that it was killed
	return rest
}

// sample is the value of a sample at an address, -1 if it is not there.
func sample(t *testing.T, url, name string) float64 {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		var v float64
		if _, err := fmt.Sscanf(lines.Text(), name+" %g", &v); err == nil {
			return v
		}
	}
	return -1
}

// A worker that was killed is shown as it was: its counts stay, its queue is gone.
func TestSidecarServesTheDead(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "mpmetrics-test-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	url := start(t, dir, "-listen", "127.0.0.1:0").line(t) // before any worker
	if got := sample(t, url, "mail_sent_total"); got != -1 {
		t.Errorf("before any worker there are %v mails", got)
	}
	first, second := start(t, dir, "-worker"), start(t, dir, "-worker")
	for range 20 {
		first.line(t)
		second.line(t)
	}
	if got := sample(t, url, "mail_queue_length"); got != 6 {
		t.Errorf("the queues of two workers: %v, want 6", got)
	}
	sent := 40 + strings.Count(string(first.kill()), "\n") + strings.Count(string(second.kill()), "\n")
	got := sample(t, url, "mail_sent_total")
	if got < float64(sent) || got > float64(sent+2) { // each may have counted one that it did not say
		t.Errorf("%v mails after both were killed, they said %d", got, sent)
	}
	if got := sample(t, url, "mail_queue_length"); got != -1 {
		t.Errorf("%v mails wait in workers that are dead", got)
	}
	third := start(t, dir, "-worker")
	third.line(t)
	if now := sample(t, url, "mail_sent_total"); now <= got {
		t.Errorf("%v mails with a third worker, %v before", now, got)
	}
}
