package catalogue

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/internal/testing/reexec"
	"github.com/mpmetrics/mpmetrics/store"
)

// Library is a library whose collectors the catalogue runs.
type Library struct {
	Name string // of the golden file

	// Run registers the collectors of the library, and does the same work in each process. The
	// result stays alive until the process ends.
	Run func(r prometheus.Registerer) (keep any, err error)

	// The patterns below are those of [path.Match].
	Moving  []string // families whose values move by themselves, or are other values in each run
	Machine []string // families whose values depend on the machine, and are alike in all processes
	Leave   []string // families that another library of the catalogue has

	Toolchain bool // the families depend on the version of Go
}

var silent = slog.New(slog.DiscardHandler)

// Main is the TestMain of a package with libraries: each library is a program of the test binary.
func Main(m *testing.M, libraries []Library) {
	programs := reexec.Programs{}
	for _, l := range libraries {
		programs[l.Name] = func(args []string) error { return l.process(args[0]) }
	}
	programs.Main()
	os.Exit(m.Run())
}

// process is a process of a service: the process does the work of a library in a directory, tells
// its families, and waits.
func (l *Library) process(dir string) error {
	// Looks are asked for, so that a killed process has told what the other processes see.
	s, err := store.Open(store.Opts{Location: dir, Logger: silent, NoAbsorption: true, FlushInterval: time.Hour})
	if err != nil {
		return err
	}
	if err := store.SetDefault(s); err != nil {
		return err
	}
	plain := prometheus.NewRegistry()
	keep, err := l.Run(tee{s.Registerer(), plain})
	if err != nil {
		return err
	}
	families, err := plain.Gather()
	if err != nil {
		return err
	}
	if err := s.Flush(context.Background()); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(familiesOf(families)); err != nil {
		return err
	}
	_, err = bufio.NewReader(os.Stdin).ReadString('\n')
	runtime.KeepAlive(keep)
	return err
}

// tee registers each collector in two registries: the store mirrors the collector, and the plain
// registry says what the process itself counted.
type tee struct {
	store prometheus.Registerer
	plain *prometheus.Registry
}

// Register implements prometheus.Registerer.
func (t tee) Register(c prometheus.Collector) error {
	if err := t.plain.Register(c); err != nil {
		return err
	}
	return t.store.Register(c)
}

// MustRegister implements prometheus.Registerer.
func (t tee) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := t.Register(c); err != nil {
			panic(err)
		}
	}
}

// Unregister implements prometheus.Registerer.
func (t tee) Unregister(c prometheus.Collector) bool {
	t.plain.Unregister(c)
	return t.store.Unregister(c)
}

// family is a family as one process shows the family, or as all processes together do.
type family struct {
	Type  string
	Value number // the sum over all series, of their counts if the family is a histogram or summary
}

// number is a number that JSON takes as a text: libraries show infinity.
type number float64

// String returns the number as an exposition has the number.
func (n number) String() string { return strconv.FormatFloat(float64(n), 'g', -1, 64) }

// MarshalText implements encoding.TextMarshaler.
func (n number) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *number) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(string(text), 64)
	*n = number(v)
	return err
}

// familiesOf returns the families of a scrape by name.
func familiesOf(all []*dto.MetricFamily) map[string]family {
	out := map[string]family{}
	for _, f := range all {
		own := family{Type: typeText(f)}
		for _, m := range f.Metric {
			own.Value += number(m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue() +
				float64(m.GetHistogram().GetSampleCount()) + float64(m.GetSummary().GetSampleCount()))
		}
		out[f.GetName()] = own
	}
	return out
}

// typeText names the type of a family as mpmetrics does.
func typeText(f *dto.MetricFamily) string {
	switch f.GetType() {
	case dto.MetricType_COUNTER:
		return "counter"
	case dto.MetricType_GAUGE:
		return "gauge"
	case dto.MetricType_SUMMARY:
		return "summary"
	case dto.MetricType_HISTOGRAM:
		if slices.ContainsFunc(f.Metric, func(m *dto.Metric) bool { return m.GetHistogram().Schema != nil }) {
			return "native histogram"
		}
		return "histogram"
	}
	return "untyped"
}

// matches reports whether a name matches one of the patterns.
func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		if err != nil {
			panic(fmt.Errorf("pattern %q: %w", p, err))
		}
		return ok
	})
}
