package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/redisserver"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
)

// hostApart is set when the host that the test binary stands for has namespaces of its own, and hostBinary is the service
// to run there.
const (
	hostApart  = "PREFORK_TEST_APART"
	hostBinary = "PREFORK_TEST_BINARY"
)

func TestMain(m *testing.M) {
	reexec.Programs{"host": func(args []string) error { return beHost(args[0]) }}.Main()
	os.Exit(m.Run())
}

// TestTwoHosts runs the service on two hosts that have nothing in common but a server: with a network, a host name and, so,
// a port of their own each where namespaces can be made. A worker of either answers for both.
func TestTwoHosts(t *testing.T) {
	// The path of a socket has 108 bytes at most, and is seen from every network.
	dir, err := os.MkdirTemp("", "mpm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "redis")
	redisserver.Start(t, "--unixsocket", socket)
	url := "unix://" + socket + "?namespace=shop"
	binary := build(t)

	names := []string{"alpha", "beta"}
	hosts := map[string]*host{}
	for _, name := range names {
		hosts[name] = startHost(t, name, url, binary)
	}
	hosts["alpha"].ask(t, "work 30")
	hosts["beta"].ask(t, "work 20")
	const total = `http_requests_total{code="200",method="post"} 50`
	for _, name := range names {
		promtest.Eventually(t, name+" shows the requests of both", func() bool {
			return strings.Contains(hosts[name].ask(t, "metrics"), total)
		})
	}
	shown := hosts["alpha"].ask(t, "metrics")
	if n := strings.Count(shown, `worker_start_time_seconds{process=`); n != 4 {
		t.Errorf("%d workers are shown, want 4:\n%s", n, shown)
	}
	for _, name := range names {
		if hosts[name].apart && strings.Count(shown, `worker_start_time_seconds{process="`+name+":") != 2 {
			t.Errorf("the workers of %s are not shown by its name:\n%s", name, shown)
		}
	}
	hosts["beta"].stop(t)
	shown = hosts["alpha"].ask(t, "metrics")
	if !strings.Contains(shown, total) || strings.Count(shown, `worker_start_time_seconds{process=`) != 2 {
		t.Errorf("after the other host was stopped:\n%s", shown)
	}
}

// host is a process that stands for one.
type host struct {
	*reexec.Process
	apart bool // it has namespaces of its own
}

func startHost(t *testing.T, name, url, binary string) *host {
	t.Helper()
	h := &host{apart: os.Getuid() == 0}
	err := h.start(t, name, url, binary)
	if err != nil && h.apart {
		t.Logf("namespaces cannot be made here: %v", err)
		h.apart = false
		err = h.start(t, name, url, binary)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.CloseInput()
		_, _ = h.Wait()
	})
	h.answer(t) // it serves
	return h
}

func (h *host) start(t *testing.T, name, url, binary string) (err error) {
	cmd := reexec.Command("host", name)
	cmd.Env = append(cmd.Env, hostBinary+"="+binary, "MPMETRICS_URL="+url, "MPMETRICS_DIR=")
	cmd.Stderr = stderrOf(t)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if h.apart {
		cmd.Env = append(cmd.Env, hostApart+"=1")
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNET | unix.CLONE_NEWUTS
	}
	h.Process, err = reexec.Try(t, cmd)
	return err
}

// answerEnd ends an answer.
const answerEnd = "."

// ask gives a host an order, and returns what it answers.
func (h *host) ask(t *testing.T, order string) string {
	t.Helper()
	h.Tell(order)
	return h.answer(t)
}

func (h *host) answer(t *testing.T) string {
	t.Helper()
	var answer strings.Builder
	for {
		line := h.Line()
		if line == answerEnd {
			return answer.String()
		}
		answer.WriteString(line + "\n")
	}
}

// stop stops the service, as a supervisor does.
func (h *host) stop(t *testing.T) {
	t.Helper()
	h.End()
}

// beHost runs the service until the end of standard input, and does what each line says.
func beHost(name string) error {
	addr := "127.0.0.1:0"
	if os.Getenv(hostApart) != "" {
		addr = "127.0.0.1:8080" // the other has the same
		if err := errors.Join(unix.Sethostname([]byte(name)), upLoopback()); err != nil {
			return err
		}
	}
	service := exec.Command(os.Getenv(hostBinary), "-addr", addr, "-workers", "2")
	service.Stderr = os.Stderr
	service.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := service.StdoutPipe()
	if err != nil {
		return err
	}
	if err := service.Start(); err != nil {
		return err
	}
	url := ""
	lines := bufio.NewScanner(out)
	for listening := 0; listening < 2 && lines.Scan(); {
		var pid int
		if n, _ := fmt.Sscanf(lines.Text(), "worker %d listens on %s", &pid, &url); n == 2 {
			listening++
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	fmt.Println(answerEnd)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := obey(url, in.Text()); err != nil {
			return err
		}
		fmt.Println(answerEnd)
	}
	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return service.Wait()
}

func obey(url, order string) error {
	var n int
	if _, err := fmt.Sscanf(order, "work %d", &n); err == nil {
		for range n {
			response, err := http.Post(url+"/work", "", nil)
			if err != nil {
				return err
			}
			response.Body.Close()
		}
		return nil
	}
	response, err := http.Get(url + "/metrics")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

// upLoopback brings the loopback interface of a new network up.
func upLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return err
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
