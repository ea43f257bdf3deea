//go:build unix

package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/mpmetrics/mpmetrics/examples/internal/child"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
)

func TestMain(m *testing.M) { child.Main(m, main) }

// batch runs the program once.
func batch(t *testing.T, dir string, wantError string, arguments ...string) string {
	t.Helper()
	cmd := child.Command(t, dir, arguments...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	if (err != nil) != (wantError != "") || !strings.Contains(stderr.String(), wantError) {
		t.Fatalf("batch %v: %v\n%s", arguments, err, stderr.String())
	}
	return out.String()
}

// shown is the value of a sample in what -metrics prints.
func shown(t *testing.T, text, name, label string) float64 {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range families[name].GetMetric() {
		if label == "" || m.GetLabel()[0].GetValue() == label {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return 0
}

// Fifty runs, one after the other: totals stay, and grow with each.
func TestRunsCountAsOne(t *testing.T) {
	const all = 50
	dir := testdir.New(t)
	texts, failures := 0.0, 0.0
	for n := 1; n <= all; n++ {
		if n%10 == 0 {
			batch(t, dir, "no file")
			failures++
		} else {
			batch(t, dir, "", "notes.txt", fmt.Sprintf("movie%d.mkv", n))
			texts++
		}
		if n%7 != 0 && n != all {
			continue // nobody looks after each run
		}
		text := batch(t, dir, "", "-metrics")
		for _, c := range []struct {
			name, label string
			want        float64
		}{
			{name: "backup_files_total", label: ".txt", want: texts},
			{name: "backup_files_total", label: ".mkv", want: texts},
			{name: "backup_runs_total", label: "success", want: texts},
			{name: "backup_runs_total", label: "failure", want: failures},
		} {
			if got := shown(t, text, c.name, c.label); got != c.want {
				t.Errorf("after %d runs %s %s is %v, want %v", n, c.name, c.label, got, c.want)
			}
		}
		if shown(t, text, "backup_last_success_timestamp_seconds", "") == 0 {
			t.Errorf("after %d runs: no success", n)
		}
	}
}
