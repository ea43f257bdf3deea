package inspect

import (
	"testing"

	"github.com/mpmetrics/mpmetrics/internal/layout"
)

// An operator who wonders about a merged value learns why it was merged so, and how to change it.
func TestReasonsOfRules(t *testing.T) {
	for _, c := range []struct {
		name      string
		of        layout.Type
		mode      layout.Mode
		why       string
		otherRule string
	}{
		{
			name: "go_gc_gomemlimit_bytes", of: layout.Gauge, mode: layout.LiveMin, why: "by name: a limit: the tightest",
			otherRule: `store.Opts.Modes["go_gc_gomemlimit_bytes"] for the gauge of a library, an argument of NewGauge for an own gauge`,
		},
		{
			name: "queue", of: layout.Gauge, mode: layout.Max, why: "set by the process; without a setting it would be livesum",
			otherRule: `store.Opts.Modes["queue"] for the gauge of a library, an argument of NewGauge for an own gauge`,
		},
		{
			name: "rows_total", of: layout.Untyped, mode: layout.Sum, why: "by name: counted: the counts of the dead stay",
			otherRule: `store.Opts.Modes["rows_total"], if a library shows the family`,
		},
		{
			name: "rows_total", of: layout.Counter, why: "by type: counted: the counts of the dead stay",
			otherRule: `store.Opts.Modes["rows_total"], if a library shows the family`,
		},
		{
			name: "rows_total", of: layout.Counter, mode: layout.Max, why: "set by the process",
			otherRule: `store.Opts.Modes["rows_total"], if a library shows the family`,
		},
		{name: "latency_seconds", of: layout.Histogram, why: "by type: observed: the observations of the dead stay"},
		{name: "latency_seconds", of: layout.NativeHistogram, why: "by type: observed: the observations of the dead stay"},
		{name: "latency_seconds", of: layout.Summary, why: "by type: observed: the observations of the dead stay"},
	} {
		f := &Family{Name: c.name, Type: c.of, Mode: c.mode}
		if got := f.Why(); got != c.why {
			t.Errorf("%v %s %v: got reason %q, want %q", c.of, c.name, c.mode, got, c.why)
		}
		if got := f.OtherRule(); got != c.otherRule {
			t.Errorf("%v %s: got another rule %q, want %q", c.of, c.name, got, c.otherRule)
		}
	}
}
