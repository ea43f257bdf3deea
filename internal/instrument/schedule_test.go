//go:build !schedule

package instrument

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/testing/effort"
	"github.com/mpmetrics/mpmetrics/internal/testing/schedule"
)

// explored runs some tests of moves_schedule_test.go with an edit of the package.
func explored(t *testing.T, which, preemptions, from, to string) (out string, err error) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay := schedule.Overlay(t, dir, "moves_schedule_test.go", from, to)
	cmd := exec.Command("go", "test", "-run", "TestMoves/"+which, "-failfast", "-tags", "schedule", "-overlay", overlay, "-vet=off", "-count=1", "-v", ".")
	cmd.Env = append(os.Environ(), "PREEMPTIONS="+preemptions)
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// A move beside two updaters and a loader, in every interleaving of their atomic operations up to one
// preemption, in a soak two: the results are those of some order of the operations, and SIGKILL after a move from
// the heap loses no Inc that has returned.
func TestMovesInEverySchedule(t *testing.T) {
	preemptions := "1"
	if effort.Soak() {
		preemptions = "2"
	}
	out, err := explored(t, "", preemptions, "", "")
	for line := range strings.Lines(out) {
		if strings.Contains(line, "schedules") || err != nil {
			t.Log(strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Error(err)
	}
}

// The schedules find each fault of these.
func TestSchedulesFindFaults(t *testing.T) {
	if effort.Few() {
		t.Skip("each fault is a build of its own")
	}
	for _, tt := range []struct{ name, which, from, to string }{
		{
			name:  "a plain store in the place of compare-and-swap: gauge",
			which: "gauge_heap",
			from:  "if p.CompareAndSwap(old, layout.EncodeGauge(value+v)) {",
			to:    "p.Store(layout.EncodeGauge(value+v)); {",
		},
		{
			name:  "a plain store in the place of compare-and-swap: counter",
			which: "^counter_heap",
			from:  "|| !p[floatPart].CompareAndSwap(old, plus(old, v)) {",
			to:    "|| func() bool { p[floatPart].Store(plus(old, v)); return false }() {",
		},
		{
			name:  "a load of a counter without a second look",
			which: "^counter_heap",
			from:  "return c.former.Load() == left && c.cells.Load() == p",
			to:    "return true",
		},
		{
			name:  "a load of a gauge without a second look",
			which: "gauge_file",
			from:  "return out[0] != layout.GaugeMoved",
			to:    "return true",
		},
		{
			name:  "an Inc that does not look for the mark",
			which: "^counter_heap",
			from:  "if int64(p[integerPart].Add(1)) < 0 {",
			to:    "if p[integerPart].Add(1) == 1 {",
		},
		{
			name:  "a Set that carries what others set aside meanwhile",
			which: "sets_file",
			from:  "			case a.former != nil: // the values there are older\n				a.former.Store(layout.GaugeMoved)\n",
			to:    "			case a.former != nil:\n",
		},
		{
			name:  "the difference of two infinite values",
			which: "infinite_counter_file",
			from:  "bits != taken { // infinite values have no difference",
			to:    "true {",
		},
		{
			name:  "a group that moves without its mutex",
			which: "group_heap",
			from:  "func (g *group) use(cells []atomic.Uint64) {\n	g.mu.Lock()\n	defer g.mu.Unlock()\n",
			to:    "func (g *group) use(cells []atomic.Uint64) {\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			preemptions := "1"
			if strings.HasPrefix(tt.which, "sets") {
				preemptions = "2"
			}
			out, err := explored(t, tt.which, preemptions, tt.from, tt.to)
			if err == nil || !strings.Contains(out, "no order of the operations") && !strings.Contains(out, "have returned") {
				t.Errorf("not found: %v\n%s", err, out)
			}
		})
	}
}
