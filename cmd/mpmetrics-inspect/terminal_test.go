//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The commands of scripts that need a terminal drive one of tmux's, with a server of
// its own for each terminal: one that ends may take its socket with it a little later.

// tmux runs tmux for a script.
func tmux(ts *testscript.TestScript, args ...string) (string, error) {
	cmd := exec.Command("tmux", append([]string{"-f", os.DevNull, "-S", filepath.Join(ts.Getenv("TMPDIR"), ts.Getenv("TERMINAL"))}, args...)...)
	cmd.Dir = ts.Getenv("WORK")
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "GORACE", "GOCOVERDIR", "MPMETRICS_DIR"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Env = append(cmd.Env, "TERM=xterm-256color", "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// startTerminal starts a shell command in a terminal, and ends the one before: term COLUMNS LINES COMMAND.
func startTerminal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: term COLUMNS LINES COMMAND")
	}
	if ts.Getenv("TERMINAL") != "" {
		_, _ = tmux(ts, "kill-server")
	}
	ts.Setenv("TERMINAL", ts.Getenv("TERMINAL")+"t")
	// The terminal stays when the command has ended, to be looked at.
	command := args[2] + "; echo status $?; exec sleep 1000"
	if out, err := tmux(ts, "new-session", "-d", "-x", args[0], "-y", args[1], command); err != nil {
		ts.Fatalf("tmux: %v: %s", err, out)
	}
	ts.Defer(func() { _, _ = tmux(ts, "kill-server") })
}

// waitForScreen waits until the screen matches: screen [-e] PATTERN... With -e there
// are escape sequences for colours in it. Negated, it waits until none matches.
func waitForScreen(ts *testscript.TestScript, neg bool, args []string) {
	capture := []string{"capture-pane", "-p"}
	if args[0] == "-e" {
		capture, args = append(capture, "-e"), args[1:]
	}
	patterns := make([]*regexp.Regexp, len(args))
	for i, a := range args {
		patterns[i] = regexp.MustCompile("(?m)" + a)
	}
	screen := ""
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		var err error
		if screen, err = tmux(ts, capture...); err != nil {
			ts.Fatalf("tmux: %v: %s", err, screen)
		}
		holds := true
		for _, p := range patterns {
			holds = holds && p.MatchString(screen) != neg
		}
		if holds {
			return
		}
	}
	ts.Fatalf("waited in vain for %q (negated: %v); the screen is\n%s", args, neg, screen)
}

// sendKeys types keys, by their names in tmux.
func sendKeys(ts *testscript.TestScript, neg bool, args []string) {
	if out, err := tmux(ts, append([]string{"send-keys"}, args...)...); err != nil {
		ts.Fatalf("tmux: %v: %s", err, out)
	}
}

// resizeTerminal makes it larger or smaller: resize COLUMNS LINES.
func resizeTerminal(ts *testscript.TestScript, neg bool, args []string) {
	if out, err := tmux(ts, "resize-window", "-x", args[0], "-y", args[1]); err != nil {
		ts.Fatalf("tmux: %v: %s", err, out)
	}
}
