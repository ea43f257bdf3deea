//go:build unix

package redisserver

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
)

// Server is a server on a loopback port, with a separate directory.
type Server struct {
	t       testing.TB
	addr    string
	dir     string
	flags   []string
	process *reexec.Process // nil: ended
	log     bytes.Buffer
}

// find finds a program of Redis. If the program is missing, find fails the test with a hint.
func find(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run `make deps`, or apt-get install --no-install-recommends %s", name, debian)
	}
	return path
}

// Start starts a server that keeps nothing on a disk, unless flags change the default. The server
// ends with the test.
func Start(t testing.TB, flags ...string) *Server {
	t.Helper()
	s := &Server{t: t, addr: freeAddress(t), dir: t.TempDir(), flags: flags}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("redis-server %s:\n%s", s.addr, &s.log)
		}
	})
	s.Again()
	return s
}

func freeAddress(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Addr is host and port.
func (s *Server) Addr() string { return s.addr }

// URL is a location on the server.
func (s *Server) URL(parameters string) string { return "redis://" + s.addr + "/0?" + parameters }

// Flags are the flags of the next start.
func (s *Server) Flags(flags ...string) { s.flags = flags }

// Again restarts an ended server at the same address.
func (s *Server) Again() {
	s.t.Helper()
	host, port, _ := net.SplitHostPort(s.addr)
	args := append([]string{"--bind", host, "--port", port, "--dir", s.dir, "--save", "", "--appendonly", "no"}, s.flags...)
	s.run(exec.Command(find(s.t, "redis-server", "redis-server"), args...))
	promtest.Eventually(s.t, "a server that answers", func() bool { return s.try("ping") == nil })
}

// run starts a server by its command.
func (s *Server) run(cmd *exec.Cmd) {
	s.t.Helper()
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	s.process = reexec.Run(s.t, cmd)
}

// Stop ends the server like a supervisor, Kill like a crash, and Pause lets the server hang until
// Continue.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server at once.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Pause stops the server's process.
func (s *Server) Pause() { s.process.Signal(syscall.SIGSTOP) }

// Continue continues a paused server.
func (s *Server) Continue() { s.process.Signal(syscall.SIGCONT) }

func (s *Server) end(signal syscall.Signal) {
	if s.process == nil {
		return
	}
	s.process.Signal(signal)
	_, _ = s.process.Wait() // killed
	s.process = nil
}

// Do runs a command and returns the output of redis-cli.
func (s *Server) Do(args ...string) string {
	s.t.Helper()
	out, err := s.cli(args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

func (s *Server) try(args ...string) error {
	out, err := s.cli(args...)
	if err == nil && strings.Contains(out, "LOADING") {
		err = fmt.Errorf("%s", out)
	}
	return err
}

func (s *Server) cli(args ...string) (string, error) {
	host, port, _ := net.SplitHostPort(s.addr)
	out, err := exec.Command(find(s.t, "redis-cli", "redis-tools"), append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
	text := strings.TrimSpace(string(out))
	if err != nil {
		return text, fmt.Errorf("redis-cli %v: %w: %s", args, err, text)
	}
	return text, nil
}
