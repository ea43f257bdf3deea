//go:build unix

package soak

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// clock is the wall clock of programs that are built with another package time: no clock of the
// machine is set.
type clock struct {
	programs string // this test binary
	inspect  string // the command
	file     *os.File
}

func newClock(t *testing.T) *clock {
	t.Helper()
	dir := t.TempDir()
	overlay := overlay(t, dir)
	c := &clock{programs: filepath.Join(dir, "programs"), inspect: filepath.Join(dir, "mpmetrics-inspect")}
	for _, build := range [][]string{
		{"test", "-c", "-vet=off", "-overlay", overlay, "-o", c.programs, "."},
		{"build", "-overlay", overlay, "-o", c.inspect, "../../../cmd/mpmetrics-inspect"},
	} {
		cmd := exec.Command("go", build...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", build, err, out)
		}
	}
	var err error
	if c.file, err = os.Create(filepath.Join(dir, "clock")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.file.Close() })
	c.ahead(t, 0)
	return c
}

// overlay returns the file that tells go build to take a package time whose clock can be ahead.
func overlay(t *testing.T, dir string) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	before, err := os.ReadFile(filepath.Join(from, "time.go"))
	if err != nil {
		t.Fatal(err)
	}
	const now = "\tsec, nsec, mono := runtimeNow()\n"
	if !strings.Contains(string(before), now) {
		t.Fatalf("time.Now of %s reads the clock in another way than this test knows", runtime.Version())
	}
	changed := filepath.Join(dir, "time.go")
	if err := os.WriteFile(changed, []byte(strings.ReplaceAll(string(before), now, now+"\tsec += clockAhead()\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	added, err := filepath.Abs(filepath.Join("testdata", "clock.go.txt"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := json.Marshal(map[string]any{"Replace": map[string]string{
		filepath.Join(from, "time.go"): changed, filepath.Join(from, "clock.go"): added,
	}})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// ahead sets the clock two to the power of n hours ahead, and right for 0.
func (c *clock) ahead(t *testing.T, n byte) {
	if _, err := c.file.WriteAt([]byte{n}, 0); err != nil {
		t.Error(err)
	}
}

// command returns a command whose clock this is.
func (c *clock) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "SOAK_CLOCK="+c.file.Name())
	return cmd
}
