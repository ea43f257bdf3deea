// Package statetable compares the table state × event in a comment with the code: the comment
// that a reader trusts is the table that the code obeys.
package statetable

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Check reads the table in the comment of a file: a head of "state" and the events, and a row
// of next states for each state, "-" for an event that cannot happen; cells are separated by
// "|". next returns the name of the state after an event; next may panic for an event that
// cannot happen.
func Check(t *testing.T, file string, states, events []string, next func(state, event int) string) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var head []string
	rows := map[string][]string{}
	for line := range strings.Lines(string(source)) {
		row, found := strings.CutPrefix(line, "//\t")
		if !found {
			continue
		}
		cells := strings.Split(row, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[0] == "state" {
			head = cells[1:]
			continue
		}
		rows[cells[0]] = cells[1:]
	}
	if !slices.Equal(head, events) {
		t.Fatalf("the table has the events %v, the code %v", head, events)
	}
	if len(rows) != len(states) {
		t.Errorf("the table has %d states, the code %d", len(rows), len(states))
	}
	for n, state := range states {
		if len(rows[state]) != len(events) {
			t.Errorf("the row of %s has %d cells, want %d", state, len(rows[state]), len(events))
			continue
		}
		for m, want := range rows[state] {
			if got := walk(next, n, m); got != want {
				t.Errorf("%s, %s: the code goes to %s, the table to %s", state, events[m], got, want)
			}
		}
	}
}

// walk returns the next state, "-" if the event cannot happen.
func walk(next func(state, event int) string, state, event int) (name string) {
	defer func() {
		if recover() != nil {
			name = "-"
		}
	}()
	return next(state, event)
}
