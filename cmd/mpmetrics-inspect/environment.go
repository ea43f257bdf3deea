package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/mpmetrics/mpmetrics/internal/archive"
	"github.com/mpmetrics/mpmetrics/internal/directory"
	"github.com/mpmetrics/mpmetrics/internal/inspect"
	"github.com/mpmetrics/mpmetrics/internal/location"
	"github.com/mpmetrics/mpmetrics/internal/remote"
	"github.com/mpmetrics/mpmetrics/internal/selector"
	"github.com/mpmetrics/mpmetrics/store"
	_ "github.com/mpmetrics/mpmetrics/store/redis" // URLs of servers
)

// environment is shared by all verbs: input, output, and common flags.
type environment struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	dir        string
	archiveDir string
	timeout    time.Duration
	access     directory.Access
	format     string
	match      string
}

// location returns the directory, or the URL of a server, configured for stores.
func (e *environment) location() (string, error) {
	text, from := e.dir, "--dir"
	for _, name := range []string{store.EnvURL, store.EnvDir} {
		if text == "" {
			text, from = os.Getenv(name), "$"+name
		}
	}
	if text == "" {
		return "", hinted{
			usagef("no directory: give --dir, or set %s or %s", store.EnvURL, store.EnvDir),
			"in the environment of the service: tr '\\0' '\\n' </proc/PID/environ | grep MPMETRICS_",
		}
	}
	l, err := location.Parse(text)
	if err != nil {
		return "", usagef("%s: %w", from, err)
	}
	switch l.Kind() {
	case location.Server:
		server, err := remote.Connect(l, slog.New(slog.DiscardHandler))
		if err != nil {
			return "", usagef("%s: %w", from, err)
		}
		server.Close()
		return l.Text(), nil
	case location.InMemory:
		return "", usagef("%s is %q: no other process can see counts in the memory of a process", from, l)
	}
	return inspect.Parent(l.Dir()), nil
}

// open returns an inspector of the configured directory.
func (e *environment) open() (*inspect.Inspector, error) {
	dir, err := e.location()
	if err != nil {
		return nil, err
	}
	return inspect.New(inspect.Opts{Dir: dir, ArchiveDir: e.archiveDir, Access: e.access, Timeout: e.timeout}), nil
}

// read reads the configured directory once. The caller closes the inspector.
func (e *environment) read() (*inspect.Inspector, *inspect.Survey, error) {
	i, err := e.open()
	if err != nil {
		return nil, nil, err
	}
	s := i.Read()
	if err := present(s); err != nil {
		i.Close()
		return nil, nil, err
	}
	return i, s, nil
}

// present returns why there is nothing to look at.
func present(s *inspect.Survey) error {
	if s.Present {
		return nil
	}
	if s.Remote {
		return hinted{s.Err, "mpmetrics-inspect doctor says more"}
	}
	if s.Err != nil {
		return hinted{s.Err, "if it is the directory of another user: run this as that user, or as root; mpmetrics-inspect doctor says more"}
	}
	err := error(&os.PathError{Op: "open", Path: s.Directory, Err: os.ErrNotExist})
	hint := "no process with this directory has counted anything yet; is it the one of the service?"
	if _, statErr := os.Stat(s.Parent); errors.Is(statErr, os.ErrNotExist) {
		hint = fmt.Sprintf("not even %s is there; is it the directory of the service, and does this host or container see it?", s.Parent)
	}
	return hinted{err, hint}
}

// selector is the selector of --match, nil without the flag.
func (e *environment) selector() (*selector.Selector, error) { return parseSelector(e.match) }

func parseSelector(text string) (*selector.Selector, error) {
	if text == "" {
		return nil, nil
	}
	sel, err := selector.Parse(text)
	if err != nil {
		return nil, usageError{err}
	}
	return sel, nil
}

// report writes problems to standard error, and returns errProblems if any problem is worse than a
// warning.
func (e *environment) report(problems []inspect.Problem) error {
	for _, p := range problems {
		if p.Severity != inspect.Error {
			continue
		}
		e.complain(fmt.Sprintf("%s: %s", p.Subject, p.What))
		e.hint("means: " + p.Means)
		e.hint("to do: " + p.Remedy)
	}
	if inspect.Worst(problems) == inspect.Error {
		return errProblems
	}
	return nil
}

// terminal returns whether a stream is a terminal, and how wide.
func terminal(stream any) (width int, ok bool) {
	f, isFile := stream.(*os.File)
	if s, isSafe := stream.(*safeWriter); isSafe {
		return terminal(s.out)
	}
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	return width, err == nil
}

// colors reports whether standard output may be coloured.
func (e *environment) colors() bool {
	_, ok := terminal(e.stdout)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// envArchiveDir is where the archive is looked for without --archive-dir.
const envArchiveDir = archive.EnvDir
