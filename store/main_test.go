package store_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.uber.org/goleak"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
	"github.com/mpmetrics/mpmetrics/store"
)

// programs check something by themselves. They say what is wrong, or nothing.
var programs = map[string]func(*program){}

type program struct{}

// errorf says that something is wrong.
func (p *program) errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// equal says so if got is not want.
func (p *program) equal(what string, got, want any) {
	if diff := cmp.Diff(want, got); diff != "" {
		p.errorf("%s (-want +got):\n%s", what, diff)
	}
}

// eventually waits for a condition that background work brings about.
func (p *program) eventually(what string, holds func() bool) {
	if !promtest.Within(promtest.Patience, holds) {
		p.errorf("waited in vain: %s", what)
	}
}

func TestMain(m *testing.M) {
	all := reexec.Programs{}
	for name, run := range programs {
		all[name] = func([]string) error {
			run(&program{})
			return nil
		}
	}
	all.Main()
	store.SetFirstPause(time.Hour) // a test that wants flushes says when
	for _, name := range []string{store.EnvDir, store.EnvURL, store.EnvProcess} {
		os.Unsetenv(name)
	}
	goleak.VerifyTestMain(m)
}

// directoryEnv tells a program a directory that the store does not look for.
const directoryEnv = "MPMETRICS_TEST_DIRECTORY"

// run runs a program in a process of its own, and fails the test with what it
// says.
func run(t *testing.T, name string, env ...string) {
	t.Helper()
	cmd := reexec.Command(name)
	cmd.Env = append(cmd.Env, env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if _, err := reexec.Run(t, cmd).WaitFor(30 * time.Second); err != nil || out.Len() > 0 {
		t.Errorf("program %s: %v\n%s", name, err, out.String())
	}
}

// inMemory returns a directory on tmpfs where there is one.
func inMemory(t testing.TB) string {
	t.Helper()
	return testdir.New(t)
}

// open opens a store that is closed when the test ends.
func open(t testing.TB, o store.Opts) *store.Store {
	t.Helper()
	s, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// merged returns the counters and gauges that all processes of dir have
// together, by name and label values, and the counts of the others.
func merged(g prometheus.Gatherer) map[string]float64 {
	families, err := g.Gather()
	if err != nil {
		panic(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += "/" + l.GetValue()
			}
			out[name] = valueOf(m)
		}
	}
	return out
}

func valueOf(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	case m.Untyped != nil:
		return m.Untyped.GetValue()
	case m.Histogram != nil:
		return float64(m.Histogram.GetSampleCount())
	}
	return float64(m.Summary.GetSampleCount())
}

// mergedOf is merged for a directory.
func mergedOf(t testing.TB, dir string) map[string]float64 {
	t.Helper()
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)})
	defer c.Close()
	return merged(registry(c))
}

// scraper is a registry that is scraped again and again, with what all processes of a
// directory have.
func scraper(t testing.TB, dir string) prometheus.Gatherer {
	t.Helper()
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true, Logger: silent})
	t.Cleanup(func() { _ = c.Close() })
	return registry(c)
}

func registry(c prometheus.Collector) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	return r
}

// files returns the published files below dir.
func files(dir string) []string {
	found, err := filepath.Glob(filepath.Join(dir, layout.Subdirectory, "*"+layout.Extension))
	if err != nil {
		panic(err)
	}
	return found
}
