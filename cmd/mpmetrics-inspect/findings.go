package main

import (
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/mpmetrics/mpmetrics/internal/inspect"
)

// writeProblems shows problems, each with its meaning and its remedy.
func (e *environment) writeProblems(problems []inspect.Problem) {
	for _, p := range problems {
		e.writeFinding(string(p.Severity), p)
	}
}

// writeFinding shows one problem after a word.
func (e *environment) writeFinding(word string, p inspect.Problem) {
	const indent = "           "
	subject := p.Subject + ": "
	if p.Severity == inspect.OK {
		subject = ""
	}
	fmt.Fprintf(e.stdout, "%s%s%s%s\n", e.colored(severityColor(p.Severity), word), strings.Repeat(" ", max(1, len(indent)-len(word))), subject, p.What)
	if p.Severity != inspect.OK {
		fmt.Fprintf(e.stdout, "%smeans: %s\n%sto do: %s\n", indent, p.Means, indent, p.Remedy)
	}
}

func severityColor(s inspect.Severity) text.Colors {
	switch s {
	case inspect.Error:
		return wrong
	case inspect.Warning:
		return warn
	}
	return good
}

// colored is an own text in a colour, on a terminal with colours.
func (e *environment) colored(c text.Colors, s string) string {
	if !e.colors() || c == nil {
		return s
	}
	return c.Sprint(s)
}
