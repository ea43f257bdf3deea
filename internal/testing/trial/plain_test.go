//go:build unix

package trial

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"
)

// plain is this test binary once more, without the race detector.
var plain struct {
	once      sync.Once
	dir, file string
	err       error
}

// plainBinary returns the file of a test binary without the race detector, for
// children that start by the hundred: under strace the detector takes a second
// for what is done in some milliseconds without it.
func plainBinary(t testing.TB) string {
	t.Helper()
	plain.once.Do(func() { plain.file, plain.err = buildPlain() })
	if errors.Is(plain.err, exec.ErrNotFound) {
		t.Skipf("skipped: there is no Go to build children without the race detector: %v", plain.err)
	}
	if plain.err != nil {
		t.Fatal(plain.err)
	}
	return plain.file
}

func buildPlain() (string, error) {
	if builtWith("CGO_ENABLED") == "0" && builtWith("-race") != "true" {
		return filepath.Abs(os.Args[0])
	}
	dir, err := os.MkdirTemp("", "mpmetrics-trial-")
	if err != nil {
		return "", err
	}
	plain.dir = dir
	file := filepath.Join(dir, "trial")
	build := exec.Command("go", "test", "-c", "-o", file, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // of C threads nobody knows what they map
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build without the race detector: %w\n%s", err, out)
	}
	return file, nil
}

// removePlain removes what plainBinary has built.
func removePlain() {
	if plain.dir != "" {
		os.RemoveAll(plain.dir)
	}
}

// builtWith is a setting that this binary was built with.
func builtWith(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
