package publisher

import (
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/testing/statetable"
)

// The table in the comment is the table that the code obeys.
func TestStates(t *testing.T) {
	statetable.Check(t, "state.go", stateNames[:], eventNames[:], func(s, e int) string {
		p := &Publisher{state: state(s)}
		p.enterState(event(e))
		return p.state.String()
	})
}
