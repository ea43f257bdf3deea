package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed testdata/hooks.go
var hooks []byte

//go:embed testdata/ours.go
var ours []byte

// oursPath begins with an a. Go initializes packages in the order of their paths, and a package of k8s.io
// makes a registry at package level.
const oursPath = "a.test/others/ours"

// renamed has what is renamed in the copy of client_golang, by file. Each text occurs once.
var renamed = map[string][][2]string{
	"counter.go": {
		{"func NewCounter(", "func clientNewCounter("},
		{"func (v2) NewCounterVec(", "func (v2) clientNewCounterVec("},
	},
	"gauge.go": {
		{"func NewGauge(", "func clientNewGauge("},
		{"func (v2) NewGaugeVec(", "func (v2) clientNewGaugeVec("},
	},
	"histogram.go": {
		{"func NewHistogram(", "func clientNewHistogram("},
		{"func (v2) NewHistogramVec(", "func (v2) clientNewHistogramVec("},
	},
	"summary.go": {
		{"func NewSummary(", "func clientNewSummary("},
		{"func (v2) NewSummaryVec(", "func (v2) clientNewSummaryVec("},
	},
	"registry.go": {
		{"func NewRegistry(", "func clientNewRegistry("},
		{"type Registry struct {", "type Registry struct {\n\treplacement ReplacedRegistry\n"},
		{"func (r *Registry) Register(", "func (r *Registry) clientRegister("},
		{"func (r *Registry) Unregister(", "func (r *Registry) clientUnregister("},
		{"func (r *Registry) Gather(", "func (r *Registry) clientGather("},
		{"func (r *Registry) Describe(", "func (r *Registry) clientDescribe("},
		{"func (r *Registry) Collect(", "func (r *Registry) clientCollect("},
	},
}

// world is a temporary directory with a module of its own, and a copy of each module with tests.
type world struct {
	root, dir string
}

// copied returns the directory of the copy of a module.
func (w world) copied(module string) string {
	return filepath.Join(w.dir, "copies", filepath.FromSlash(module))
}

// prepare makes the module, with the requirements of fuzz/catalogue, and the copies.
func (w world) prepare(chosen []suite) error {
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(w.root, "fuzz", "catalogue", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(w.dir, name), text, 0o600); err != nil {
			return err
		}
	}
	edits := []string{"mod", "edit", "-module=" + filepath.Dir(oursPath), "-replace=github.com/mpmetrics/mpmetrics=" + w.root}
	if _, err := w.command("go", edits...); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(w.dir, "ours"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(w.dir, "ours", "ours.go"), ours, 0o600); err != nil {
		return err
	}
	edits = []string{"mod", "edit"}
	seen := map[string]bool{}
	for _, module := range append([]suite{{module: client}}, chosen...) {
		module := module.module
		if seen[module] {
			continue
		}
		seen[module] = true
		if err := w.copy(module); err != nil {
			return err
		}
		edits = append(edits, "-replace="+module+"="+w.copied(module))
	}
	if err := w.rename(); err != nil {
		return err
	}
	_, err := w.command("go", edits...)
	return err
}

// copy copies a module out of the module cache.
func (w world) copy(module string) error {
	out, err := w.command("go", "mod", "download", "-json", module)
	if err != nil {
		return err
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(out, &found); err != nil {
		return fmt.Errorf("%s: %w", module, err)
	}
	to := w.copied(module)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.CopyFS(to, os.DirFS(found.Dir))
}

// rename puts hooks.go into the copy of client_golang.
func (w world) rename() error {
	dir := filepath.Join(w.copied(client), "prometheus")
	for name, pairs := range renamed {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, pair := range pairs {
			if n := strings.Count(string(text), pair[0]); n != 1 {
				return fmt.Errorf("%s of client_golang has %q %d times", name, pair[0], n)
			}
			text = []byte(strings.Replace(string(text), pair[0], pair[1], 1))
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "mpmetrics_hooks.go"), hooks, 0o600)
}

// command runs a command in the directory, and returns what the command prints.
func (w world) command(name string, args ...string) ([]byte, error) {
	c := exec.Command(name, args...)
	c.Dir = w.dir
	c.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
	out, err := c.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, out, exit.Stderr)
	}
	return out, err
}
