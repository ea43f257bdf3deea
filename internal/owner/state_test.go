package owner

import (
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/testing/statetable"
)

// The table in the comment is the table that the code obeys.
func TestStates(t *testing.T) {
	statetable.Check(t, "state.go", stateNames[:], eventNames[:], func(s, e int) string {
		p := &Place{}
		p.state.Store(uint32(s))
		p.enterState(event(e))
		return p.currentState().String()
	})
}

// Each state can be reached from the first state, and leads to closed.
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
