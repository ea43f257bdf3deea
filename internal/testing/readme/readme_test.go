//go:build unix

package readme

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
)

const (
	top     = "../../.."
	section = "## A program that exists"
)

func TestMain(m *testing.M) {
	reexec.Programs{"curl": curl}.Main()
	os.Exit(m.Run())
}

// curl stands for the curl of the README, and waits for a server that has just been started: a
// reader types more slowly.
func curl(args []string) error {
	url := "http://" + args[len(args)-1]
	deadline := time.Now().Add(time.Minute)
	for {
		response, err := http.Get(url)
		if err == nil {
			defer response.Body.Close()
			_, err = io.Copy(os.Stdout, response.Body)
			return err
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// block returns the lines of the first block of a section whose lines begin as opened, up to the
// line closed.
func block(t *testing.T, opened func(line string) bool, closed func(line string) bool) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text2, found := strings.Cut(string(text), "\n"+section+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", section)
	}
	inside := false
	for line := range strings.Lines(text2) {
		switch {
		case !inside:
			inside = opened(line)
			if !inside || !strings.HasPrefix(line, "    ") {
				continue
			}
		case closed(line):
			return lines
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	t.Fatalf("the block in section %q has no end", section)
	return nil
}

// The program that exists builds, and so does the changed one. The session prints what the README
// shows.
func TestProgramThatExists(t *testing.T) {
	dir := module(t)
	diff := block(t, func(line string) bool { return line == "```diff\n" }, func(line string) bool { return line == "```\n" })
	for _, sign := range []string{"-", "+"} {
		build(t, dir, side(diff, sign))
	}
	session := block(t, func(line string) bool { return strings.HasPrefix(line, "    $ ") }, func(line string) bool { return line == "\n" })
	play(t, dir, session)
}

// side returns the program of a diff before, with "-", or after, with "+".
func side(diff []string, sign string) string {
	var b strings.Builder
	for _, line := range diff {
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, sign) {
			fmt.Fprintln(&b, line[1:])
		}
	}
	return b.String()
}

// module makes a module that uses mpmetrics as it is here.
func module(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	here, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(top, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	mod := fmt.Sprintf("module shop\n\ngo 1.26.0\n\nreplace github.com/mpmetrics/mpmetrics => %s\n\nrequire github.com/mpmetrics/mpmetrics v0.0.0\n", here)
	for name, text := range map[string][]byte{"go.mod": []byte(mod), "go.sum": sum} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func build(t *testing.T, dir, program string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", "shop", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the program does not build: %v\n%s\n%s", err, out, program)
	}
}

// play runs the commands of a session in one shell, and compares the output.
func play(t *testing.T, dir string, session []string) {
	t.Helper()
	script := []string{
		"set -m", // for %2
		`trap 'kill -9 $(jobs -p) 2>/dev/null' EXIT`,
		fmt.Sprintf(`curl() { %s=curl %q "$@"; }`, reexec.Env, os.Args[0]),
	}
	var want []string
	for _, line := range session {
		line = strings.TrimPrefix(line, "    ")
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			script = append(script, command)
		} else {
			want = append(want, line)
		}
	}
	text := strings.Join(script, "\n")
	text = strings.ReplaceAll(text, "/dev/shm/shop", testdir.New(t))
	for _, port := range []string{"8001", "8002"} {
		text = strings.ReplaceAll(text, port, freePort(t))
	}
	cmd := exec.Command("bash", "-c", text)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || strings.TrimSpace(string(out)) != strings.Join(want, "\n") {
		t.Errorf("the session: %v\n%s\nprinted\n%s\nand\n%s\nwant %v", err, text, out, &stderr, want)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
