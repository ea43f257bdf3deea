package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mpmetrics/mpmetrics/internal/selector"
)

// Exit statuses.
const (
	exitFine     = 0
	exitFailure  = 1
	exitUsage    = 2
	exitProblems = 3
)

const program = "mpmetrics-inspect"

// run is the whole command.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &environment{stdin: stdin, stdout: safe(stdout), stderr: safe(stderr)}
	root := e.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return e.exit(root.ExecuteContext(ctx))
}

// usageError is a mistake in the call.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }

func (u usageError) Unwrap() error { return u.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// hinted is an error with a remedy.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// errProblems is returned after problems were found and shown.
var errProblems = errors.New("problems found")

// errTold is a failure already shown.
var errTold = errors.New("failed")

// exit shows the error and returns the exit status.
func (e *environment) exit(err error) int {
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errProblems):
		return exitProblems
	case errors.Is(err, errTold):
		return exitFailure
	case errors.Is(err, context.Canceled):
		e.complain("interrupted")
		return exitFailure
	}
	e.complain(err.Error())
	if s, ok := errors.AsType[*selector.Error](err); ok {
		e.hint(s.Mark())
	}
	if h, ok := errors.AsType[hinted](err); ok {
		e.hint(h.hint)
	}
	if _, ok := errors.AsType[usageError](err); ok {
		e.hint(program + " help lists the verbs")
		return exitUsage
	}
	return exitFailure
}

// complain writes a line for whoever called.
func (e *environment) complain(text string) { fmt.Fprintf(e.stderr, "%s: %s\n", program, text) }

// hint writes lines about the line before.
func (e *environment) hint(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(e.stderr, "    %s\n", line)
	}
}
