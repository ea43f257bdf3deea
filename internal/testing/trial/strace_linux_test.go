package trial

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
)

// pinned are the programs whose main goroutine stays on the thread that the
// process began with. strace without -f looks at that thread alone: what the Go
// runtime does elsewhere neither counts nor is hit.
var pinned = []string{"create", "endure"}

func init() {
	if slices.Contains(pinned, os.Getenv(reexec.Env)) {
		runtime.LockOSThread()
	}
}

// mark is a system call that nothing else makes: what is between two of them is
// looked at.
func mark() { unix.Getppid() }

// needStrace skips the test where strace cannot be used, and returns the test
// binary to run under it.
func needStrace(t testing.TB) string {
	t.Helper()
	if err := straceWorks(); err != nil {
		t.Skipf("skipped: system calls cannot be tampered with: %v", err)
	}
	return plainBinary(t)
}

var straceWorks = sync.OnceValue(func() error {
	out, err := exec.Command("strace", "-f", "-o", os.DevNull, "-e", "inject=flock:error=EIO", "true").CombinedOutput()
	if err != nil {
		return fmt.Errorf("strace: %w %s", err, bytes.TrimSpace(out))
	}
	return nil
})

// call is a system call of the main thread: the nth of that name.
type call struct {
	name string
	n    int
}

func (c call) String() string { return fmt.Sprintf("%s %d", c.name, c.n) }

// inject is an argument of strace that does something to the call.
func (c call) inject(what string) string {
	return fmt.Sprintf("inject=%s:%s:when=%d", c.name, what, c.n)
}

var callName = regexp.MustCompile(`^([a-z0-9_]+)\(`)

// callsBetweenMarks are the calls between two marks that have to do with a
// directory, in a log of strace -y without -f.
func callsBetweenMarks(t testing.TB, log, dir string) (calls []call) {
	t.Helper()
	counts := map[string]int{}
	inside := false
	for line := range strings.Lines(contents(t, log)) {
		found := callName.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		name := found[1]
		counts[name]++
		if name == "getppid" {
			if inside {
				return calls
			}
			inside = true
		}
		if inside && strings.Contains(line, dir) {
			calls = append(calls, call{name, counts[name]})
		}
	}
	t.Fatalf("%s has no two marks", log)
	return nil
}

// injected are the lines of a log about calls that were tampered with, and
// whether each of them has to do with a directory.
func injected(t testing.TB, log, dir string) (hits, misses []string) {
	t.Helper()
	for line := range strings.Lines(contents(t, log)) {
		if !strings.Contains(line, "(INJECTED)") {
			continue
		}
		if strings.Contains(line, dir) {
			hits = append(hits, line)
		} else {
			misses = append(misses, line)
		}
	}
	return hits, misses
}

func contents(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// attach lets strace look at all threads of a process that runs, and returns
// when it does. detach lets go of it: from then on nothing is tampered with.
func attach(t testing.TB, pid int, args ...string) (detach func()) {
	t.Helper()
	cmd := exec.Command("strace", append([]string{"-f", "-y", "-p", fmt.Sprint(pid)}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(stderr)
	line, err := said.ReadString('\n')
	if err != nil || !strings.Contains(line, "attached") {
		t.Errorf("strace said %q, %v", line, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, said)
		_ = cmd.Wait() // it was told to end
	}()
	var once sync.Once
	detach = func() {
		once.Do(func() {
			_ = cmd.Process.Signal(unix.SIGTERM)
			<-ended
		})
	}
	t.Cleanup(detach)
	return detach
}

// straceLog is where strace writes.
func straceLog(t testing.TB) string { return filepath.Join(t.TempDir(), "strace") }
