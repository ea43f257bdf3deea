package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// tests is a suite as a program.
type tests struct {
	suite
	program string
	dir     string // where the tests expect to run
	work    string // for files of the tests
	names   []string
}

// result is one test in one mode.
type result struct {
	suite, mode, name string
	outcome           outcome
	used              bool // something of mpmetrics
	output            string
}

type outcome int

const (
	passed outcome = iota
	failed
	skipped
)

func (o outcome) String() string { return [...]string{"passes", "fails", "skips"}[o] }

// build makes the program of a suite. An external test file brings mpmetrics into the program:
// internal tests of client_golang cannot import what imports client_golang.
func (w world) build(s suite) (*tests, error) {
	path := strings.TrimSuffix(s.module+"/"+s.dir, "/.")
	dir := filepath.Join(w.copied(s.module), filepath.FromSlash(s.dir))
	name, err := w.command("go", "list", "-f", "{{.Name}}", path)
	if err != nil {
		return nil, err
	}
	file := fmt.Sprintf("package %s_test\n\nimport _ %q\n", strings.TrimSpace(string(name)), oursPath)
	if err := os.WriteFile(filepath.Join(dir, "mpmetrics_ours_test.go"), []byte(file), 0o600); err != nil {
		return nil, err
	}
	t := &tests{suite: s, program: filepath.Join(w.dir, strings.ReplaceAll(s.name, "/", "-")+".test"), dir: dir, work: filepath.Join(w.dir, "work")}
	if err := os.MkdirAll(t.work, 0o700); err != nil {
		return nil, err
	}
	if _, err := w.command("go", "test", "-c", "-o", t.program, path); err != nil {
		return nil, err
	}
	out, err := t.command(context.Background(), alone, "", "-test.list=^(Test|Example)").Output()
	if err != nil {
		return nil, fmt.Errorf("%s: list of the tests: %w", s.name, err)
	}
	t.names = strings.Fields(string(out))
	return t, nil
}

// run runs tests in all modes, each in a process of its own: a panic fails one test alone.
func (t *tests) run(chosen *regexp.Regexp) []result {
	var results []result
	for _, name := range t.names {
		if chosen.MatchString(name) {
			for _, mode := range append([]string{alone}, modes...) {
				results = append(results, result{suite: t.name, mode: mode, name: name})
			}
		}
	}
	// One goroutine takes all modes of a test, one after the other: a test may listen at a fixed port.
	var wg sync.WaitGroup
	next := make(chan []result)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for same := range next {
				for i := range same {
					t.one(&same[i])
				}
			}
		})
	}
	for same := range slices.Chunk(results, 1+len(modes)) {
		next <- same
	}
	close(next)
	wg.Wait()
	return results
}

// one runs one test in one mode.
func (t *tests) one(r *result) {
	temp, err := os.MkdirTemp(t.work, "")
	if err != nil {
		r.outcome, r.output = failed, err.Error()
		return
	}
	defer os.RemoveAll(temp)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := t.command(ctx, r.mode, temp, "-test.v", "-test.timeout=2m", "-test.run=^"+r.name+"$").CombinedOutput()
	r.output = string(out)
	switch {
	case err != nil:
		r.outcome = failed
	case strings.Contains(r.output, "--- SKIP: "+r.name+" "):
		r.outcome = skipped
	}
	_, err = os.Stat(filepath.Join(temp, "used"))
	r.used = !errors.Is(err, os.ErrNotExist)
}

func (t *tests) command(ctx context.Context, mode, temp string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, t.program, args...)
	c.Dir = t.dir
	c.Env = append(os.Environ(), "OTHERS_MODE="+mode, "OTHERS_USED="+filepath.Join(temp, "used"), "TMPDIR="+temp)
	return c
}
