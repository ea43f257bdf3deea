package catalogue

import (
	"encoding/json"
	"flag"
	"math"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Test runs each library in three processes that do the same work, and kills one of the processes.
// The families, their rules and the merged values have to be those of the golden file. Each merged
// value has to be the value that the rule makes of what the processes themselves counted.
func Test(t *testing.T, libraries []Library) {
	for _, l := range libraries {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			if l.Toolchain && !*update && !l.hasGolden() {
				t.Skipf("no golden file for %s: run the test with -update", minorVersion)
			}
			own, merged := l.threeProcesses(t)
			rows := l.rows(t, own, merged)
			if *update {
				l.writeGolden(t, rows)
				return
			}
			l.compare(t, rows)
		})
	}
}

const killed = 0 // the process that is killed

// threeProcesses returns the families of each process, and of all after one was killed.
func (l *Library) threeProcesses(t *testing.T) (own []map[string]family, merged map[string]family) {
	t.Helper()
	dir := testdir.New(t)
	var all []*reexec.Process
	for range 3 {
		all = append(all, reexec.Start(t, l.Name, dir))
	}
	for _, p := range all {
		own = append(own, told(t, p))
	}
	all[killed].Kill()
	merged = mergedFamilies(t, dir)
	for _, p := range all[killed+1:] {
		p.Tell("end")
		p.End()
	}
	return own, merged
}

// told returns the families that a process tells after its work.
func told(t *testing.T, p *reexec.Process) map[string]family {
	t.Helper()
	f := map[string]family{}
	if err := json.Unmarshal([]byte(p.Line()), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// mergedFamilies returns the families that a collector of a directory shows.
func mergedFamilies(t *testing.T, dir string) map[string]family {
	t.Helper()
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	defer c.Close()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	return familiesOf(promtest.Gather(t, r))
}

// ThreeProcesses runs a library in three processes, and kills one. ThreeProcesses returns the values
// of a living process, and the merged values, by family. Histograms and summaries have their counts.
func ThreeProcesses(t *testing.T, l Library) (one, merged map[string]float64) {
	t.Helper()
	own, all := l.threeProcesses(t)
	return valuesOf(own[killed+1]), valuesOf(all)
}

// Jobs runs a library in n processes, each of which ends before the next begins. Jobs returns the
// values of the last process, and the merged values, by family.
func Jobs(t *testing.T, l Library, n int) (last, merged map[string]float64) {
	t.Helper()
	dir := testdir.New(t)
	for range n {
		p := reexec.Start(t, l.Name, dir)
		last = valuesOf(told(t, p))
		p.Tell("end")
		p.End()
	}
	return last, valuesOf(mergedFamilies(t, dir))
}

func valuesOf(families map[string]family) map[string]float64 {
	values := map[string]float64{}
	for name, f := range families {
		values[name] = float64(f.Value)
	}
	return values
}

// rows makes the rows of a library. The test fails where a merged value is not the value that the
// rule makes of the values of the processes.
func (l *Library) rows(t *testing.T, own []map[string]family, merged map[string]family) []row {
	t.Helper()
	kinds := map[string]string{}
	for _, f := range own {
		for name, f := range f {
			if !matches(l.Leave, name) {
				kinds[name] = f.Type
			}
		}
	}
	var rows []row
	for name, kind := range kinds {
		r := rowOf(name, kind)
		m, found := merged[name]
		if !found {
			t.Errorf("%s is missing in the merged output", name)
			continue
		}
		if m.Type != kind {
			t.Errorf("%s is a %s, merged a %s", name, kind, m.Type)
		}
		want := expected(r.mode, name, own)
		r.merged = m.Value.String()
		switch {
		case matches(l.Moving, name):
			r.merged = "moves"
			if !r.mode.Valid() && m.Value < want && !equal(m.Value, want) {
				t.Errorf("%s is %v, and the processes counted %v", name, m.Value, want)
			}
		case !equal(m.Value, want):
			t.Errorf("%s is %v, and by its rule it should be %v", name, m.Value, want)
		case matches(l.Machine, name):
			r.merged = "of the machine"
		}
		rows = append(rows, r)
	}
	return rows
}

// expected is the value that a rule makes of the values of all processes.
func expected(mode layout.Mode, name string, own []map[string]family) number {
	var values []number
	for i, f := range own {
		if v, shown := f[name]; shown && (i != killed || !mode.Live()) {
			values = append(values, v.Value)
		}
	}
	switch mode {
	case layout.Min, layout.LiveMin:
		return slices.Min(values)
	case layout.Max, layout.LiveMax:
		return slices.Max(values)
	}
	sum := number(0)
	for _, v := range values {
		sum += v
	}
	if mode == layout.LiveMean {
		return sum / number(len(values))
	}
	return sum
}

// equal compares sums that were rounded in another order.
func equal(a, b number) bool {
	return a == b || math.Abs(float64(a-b)) <= 1e-9*math.Abs(float64(b)) || math.IsNaN(float64(a)) && math.IsNaN(float64(b))
}
