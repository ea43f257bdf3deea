package compact

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"
)

// Options without a meaning are errors that name the field, and nothing is absorbed.
func TestOptsAreChecked(t *testing.T) {
	for _, c := range []struct {
		name string
		opts Opts
		text string
	}{
		{name: "a negative age", opts: Opts{Limits: Limits{ForgetAfter: -time.Hour}}, text: "Limits.ForgetAfter is -1h0m0s"},
		{name: "a negative retention", opts: Opts{Limits: Limits{DeadSampleRetention: -1}}, text: "Limits.DeadSampleRetention is -1ns"},
		{name: "a negative bound", opts: Opts{Limits: Limits{MaxArchiveSeries: -1}}, text: "Limits.MaxArchiveSeries is -1"},
		{name: "a negative share", opts: Opts{Limits: Limits{CoreShare: -0.5}}, text: "Limits.CoreShare is -0.5"},
		{name: "more than a core", opts: Opts{Limits: Limits{CoreShare: 2}}, text: "Limits.CoreShare is 2"},
		{name: "no share at all", opts: Opts{Limits: Limits{CoreShare: math.NaN()}}, text: "Limits.CoreShare is NaN"},
		{name: "a negative number of dead", opts: Opts{MinDead: -1}, text: "Opts.MinDead is -1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, err := Run(context.Background(), t.TempDir(), c.opts)
			if err == nil || !strings.Contains(err.Error(), c.text) || !strings.HasPrefix(err.Error(), "absorb: ") {
				t.Errorf("error %v, want one that says %q", err, c.text)
			}
			if report.Absorbed+report.Forgotten != 0 {
				t.Errorf("report %v in spite of the error", report)
			}
		})
	}
}
