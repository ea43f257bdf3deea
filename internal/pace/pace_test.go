package pace

import (
	"testing"
	"time"
)

// The work and the pause after it take the share of a core together.
func TestPause(t *testing.T) {
	for _, c := range []struct {
		name    string
		share   float64
		waiting int
		want    time.Duration
	}{
		{name: "by default", waiting: 1, want: 19 * time.Second},
		{name: "many wait", waiting: 513, want: time.Second},
		{name: "as many as not to hurry", waiting: 512, want: 19 * time.Second},
		{name: "configured", share: 0.25, waiting: 513, want: 3 * time.Second},
		{name: "without pauses", share: 1, waiting: 1, want: 0},
	} {
		if got := Pause(c.share, time.Second, c.waiting); got.Round(time.Millisecond) != c.want {
			t.Errorf("%s: a pause of %v, want %v", c.name, got, c.want)
		}
	}
}
