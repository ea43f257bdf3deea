package main

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

type tally struct {
	all, passed, used, differ int
}

// report compares results with the list.
type report struct {
	out       io.Writer
	list      map[key]difference
	verbose   bool
	tallies   map[key]*tally // by suite and mode
	seen      map[key]bool
	unusable  map[key]bool // by suite and test
	surprises int
}

func newReport(out io.Writer, list map[key]difference, verbose bool) *report {
	return &report{out: out, list: list, verbose: verbose, tallies: map[key]*tally{}, seen: map[key]bool{}, unusable: map[key]bool{}}
}

// add adds a result. The result of a test in mode alone comes first.
func (r *report) add(t result) {
	test := key{suite: t.suite, name: t.name}
	if t.mode == alone {
		r.unusable[test] = t.outcome != passed
		if t.outcome != passed {
			fmt.Fprintf(r.out, "others: %s %s %s with client_golang alone\n", t.suite, t.name, t.outcome)
			r.show(t, r.verbose)
		}
		return
	}
	k := key{t.suite, t.mode, t.name}
	r.seen[k] = true
	if r.unusable[test] {
		return
	}
	at := key{suite: t.suite, mode: t.mode}
	if r.tallies[at] == nil {
		r.tallies[at] = &tally{}
	}
	tally := r.tallies[at]
	tally.all++
	expected, listed := r.list[k]
	switch {
	case t.outcome == passed && (!listed || expected.sometimes):
		tally.passed++
		if t.used {
			tally.used++
		}
	case t.outcome == passed:
		r.surprise(k, "passes, and expected.txt says: "+expected.reason)
	case !listed:
		r.surprise(k, t.outcome.String())
		r.show(t, true)
	case !expected.output.MatchString(t.output):
		r.surprise(k, "fails for another reason than: "+expected.reason)
		r.show(t, true)
	default:
		tally.differ++
		r.show(t, r.verbose)
	}
}

func (r *report) surprise(k key, text string) {
	r.surprises++
	fmt.Fprintf(r.out, "others: SURPRISE: %s %s %s %s\n", k.suite, k.mode, k.name, text)
}

// show prints the output of a test.
func (r *report) show(t result, show bool) {
	if show {
		fmt.Fprintf(r.out, "    %s %s %s\n    %s\n", t.suite, t.mode, t.name, strings.ReplaceAll(strings.TrimSpace(t.output), "\n", "\n    "))
	}
}

// checkList finds entries of the list without a test.
func (r *report) checkList(chosen []suite, tests *regexp.Regexp) {
	var stale []key
	for k := range r.list {
		if !r.seen[k] && tests.MatchString(k.name) && slices.ContainsFunc(chosen, func(s suite) bool { return s.name == k.suite }) {
			stale = append(stale, k)
		}
	}
	slices.SortFunc(stale, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.suite, b.suite), cmp.Compare(a.name, b.name), cmp.Compare(a.mode, b.mode))
	})
	for _, k := range stale {
		r.surprise(k, "is in expected.txt, and did not run")
	}
}

// summarize prints a line for each suite and mode.
func (r *report) summarize(chosen []suite) {
	for _, s := range chosen {
		for _, mode := range modes {
			t := r.tallies[key{suite: s.name, mode: mode}]
			if t == nil {
				continue
			}
			fmt.Fprintf(r.out, "others: %s %s: %d of %d top-level tests pass (%d use mpmetrics), %d differ on purpose\n",
				s.name, mode, t.passed, t.all, t.used, t.differ)
		}
	}
}
