package inspect

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	start := time.Unix(1000, 0)
	snapshot := func(at time.Time, text string) *Snapshot {
		t.Helper()
		families, err := ParseExposition(strings.NewReader(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return NewSnapshot("x", at, families)
	}
	a := snapshot(start, `# TYPE c counter
c{l="same"} 5
c{l="more"} 5
c{l="less"} 5
c{l="gone"} 5
# TYPE g gauge
g 5
nan NaN
# TYPE h histogram
h_bucket{le="1"} 1
h_bucket{le="+Inf"} 2
h_sum 3
h_count 2
`)
	b := snapshot(start.Add(10*time.Second), `# TYPE c counter
c{l="same"} 5
c{l="more"} 25
c{l="less"} 2
c{l="new"} 1
# TYPE g gauge
g 4
nan NaN
# TYPE h histogram
h_bucket{le="1"} 2
h_bucket{le="+Inf"} 4
h_sum 3
h_count 4
`)
	text := func(changes []Change) (lines []string) {
		for _, c := range changes {
			lines = append(lines, fmt.Sprint(c.Series, " ", c.What, " ", c.Before, " ", c.After, " ", c.Delta(), " ", c.Rate))
		}
		return lines
	}
	want := []string{
		`c{l="more"} changed 5 25 20 2`,
		`c{l="less"} reset 5 2 2 0.2`,
		`h_count changed 2 4 2 0.2`,
		`c{l="new"} new NaN 1 1 NaN`,
		`g changed 5 4 -1 NaN`,
		`c{l="gone"} gone 5 NaN NaN NaN`,
		`c{l="same"} unchanged 5 5 0 0`,
		`h_sum unchanged 3 3 0 0`,
		`nan unchanged NaN NaN NaN NaN`,
	}
	if diff := cmp.Diff(want, text(Diff(a, b))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.Time = time.Time{}
	for _, c := range Diff(a, b) {
		if !math.IsNaN(c.Rate) {
			t.Errorf("%s has the rate %v in an unknown time", c.Series, c.Rate)
		}
	}
}

func TestNoExposition(t *testing.T) {
	if _, err := ParseExposition(strings.NewReader("a b c\n"), nil); err == nil || !strings.Contains(err.Error(), "no exposition") {
		t.Error(err)
	}
}

// A label without a value is no label, in either snapshot.
func TestDiffOfEmptyLabels(t *testing.T) {
	snapshot := func(text string) *Snapshot {
		families, err := ParseExposition(strings.NewReader(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return NewSnapshot("x", time.Time{}, families)
	}
	for _, c := range [][2]string{
		{"c{l=\"x\",m=\"\"} 1\n", "c{l=\"x\"} 1\n"},
		{"c{l=\"x\"} 1\n", "c{l=\"x\",m=\"\"} 1\n"},
		{"c{m=\"\"} 1\n", "c 1\n"},
	} {
		changes := Diff(snapshot(c[0]), snapshot(c[1]))
		if len(changes) != 1 || changes[0].What != Unchanged {
			t.Errorf("from %q to %q: %v, want unchanged", c[0], c[1], changes)
		}
	}
}

// Observations below zero make a sum fall: only a lower count is a restart.
func TestDiffOfNegativeObservations(t *testing.T) {
	for _, kind := range []string{"histogram", "summary"} {
		for _, c := range []struct {
			name, before, after string
			what                string
			change              float64
		}{
			{"the sum falls", "x_sum -100\nx_count 10\n", "x_sum -103\nx_count 11\n", Changed, -3},
			{"the sum falls and the count stays", "x_sum 5\nx_count 10\n", "x_sum 4\nx_count 10\n", Changed, -1},
			{"after a restart the sum is lower", "x_sum 5\nx_count 10\n", "x_sum 4\nx_count 2\n", Restarted, 4},
			{"after a restart the sum is higher", "x_sum -5\nx_count 10\n", "x_sum -1\nx_count 2\n", Restarted, -1},
			{"after a restart the sum is the same", "x_sum 0\nx_count 10\n", "x_sum 0\nx_count 2\n", Restarted, 0},
			{"of a label without a value", "x_sum{l=\"\"} -1\nx_count{l=\"\"} 1\n", "x_sum -2\nx_count 2\n", Changed, -1},
		} {
			t.Run(kind+": "+c.name, func(t *testing.T) {
				var moments [2]*Snapshot
				for i, text := range []string{c.before, c.after} {
					families, err := ParseExposition(strings.NewReader("# TYPE x "+kind+"\n"+text), nil)
					if err != nil {
						t.Fatal(err)
					}
					moments[i] = NewSnapshot("x", time.Unix(int64(10*i+10), 0), families)
				}
				for _, got := range Diff(moments[0], moments[1]) {
					if got.Series == "x_sum" && (got.What != c.what || got.Delta() != c.change || got.Rate != c.change/10) {
						t.Errorf("%s, change %v, rate %v; want %s, %v", got.What, got.Delta(), got.Rate, c.what, c.change)
					}
				}
			})
		}
	}
}
