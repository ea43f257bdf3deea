package owner

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// tableOf reads the table state × event in the comment of state.go: the events of its head,
// and the rows by state.
func tableOf(t *testing.T) (events []string, rows map[string][]string) {
	t.Helper()
	source, err := os.ReadFile("state.go")
	if err != nil {
		t.Fatal(err)
	}
	rows = map[string][]string{}
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
			events = cells[1:]
			continue
		}
		rows[cells[0]] = cells[1:]
	}
	return events, rows
}

// The table in the comment is the table that the code obeys: each cell is walked.
func TestStates(t *testing.T) {
	events, rows := tableOf(t)
	if !slices.Equal(events, eventNames[:]) {
		t.Fatalf("the table has the events %v, the code %v", events, eventNames)
	}
	if len(rows) != len(stateNames) {
		t.Errorf("the table has %d states, the code %d", len(rows), len(stateNames))
	}
	for n, name := range stateNames {
		for m, want := range rows[name] {
			got := "-"
			func() {
				defer func() { _ = recover() }()
				p := &Place{}
				p.state.Store(uint32(n))
				p.enterState(event(m))
				got = p.currentState().String()
			}()
			if got != want {
				t.Errorf("%s, %s: the code goes to %s, the table to %s", name, eventNames[m], got, want)
			}
		}
	}
}

// Each state can be reached from the first, and leads to closed.
func TestStatesAreReached(t *testing.T) {
	reached := map[state]bool{absent: true}
	for range stateNames {
		for s := range reached {
			for _, next := range transitions[s] {
				reached[next] = true
			}
		}
	}
	for n, name := range stateNames {
		if !reached[state(n)] {
			t.Errorf("%s is never reached", name)
		}
		if next, possible := transitions[n][closing]; state(n) != closed && (!possible || next != closed) {
			t.Errorf("%s cannot be closed", name)
		}
	}
}
