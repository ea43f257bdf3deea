package collector_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// A missing directory, and one without files, is an empty result and no error.
func TestNothingThere(t *testing.T) {
	empty := t.TempDir()
	ours := t.TempDir()
	if err := os.Mkdir(filepath.Join(ours, layout.Subdirectory), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"missing": filepath.Join(t.TempDir(), "no", "such"), "empty": empty, "empty subdirectory": ours} {
		t.Run(name, func(t *testing.T) {
			r := registryOf(t, dir)
			equal(t, "metrics", scrape(t, r), samples{})
			self := scrapeSelf(t, r)
			delete(self, "mpmetrics_collect_duration_seconds")
			equal(t, "about itself", self, samples{"mpmetrics_up": 1})
			// It comes later.
			open(t, dir, "1").NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
			equal(t, "later", scrape(t, r), samples{"c_total": 1})
		})
	}
}

// A collector only looks: not even the directory is made.
func TestCollectorMakesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "no")
	scrape(t, registryOf(t, dir))
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is there now")
	}
}

func TestSelfMetrics(t *testing.T) {
	dir := t.TempDir()
	collectCase(t, open(t, dir, "1"), 1)
	dead := open(t, dir, "2")
	collectCase(t, dead, 2)
	dead.die()
	if err := os.WriteFile(filepath.Join(dir, layout.Subdirectory, layout.FileName(9, layout.NewID())), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := registryWith(t, collector.Opts{Location: dir, NoAbsorption: true})
	all := promtest.Flatten(promtest.Gather(t, r))
	size := 0.0
	for _, f := range files(t, dir) {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		size += float64(info.Size())
	}
	want := samples{
		"mpmetrics_up": 1, "mpmetrics_series": 4, "mpmetrics_file_size_bytes": size,
		`mpmetrics_processes{state="live"}`: 1, `mpmetrics_processes{state="dead"}`: 1,
		`mpmetrics_files{state="live"}`: 1, `mpmetrics_files{state="dead"}`: 1, `mpmetrics_files{state="unreadable"}`: 1,
		`mpmetrics_files{state="kept"}`: 0,
	}
	// Every reason is there from the beginning, so that a rate finds its zero.
	proven := []string{"damaged", "foreign", "version", "byte_order", "limit", "copy", "refused", "returned", "boot"}
	for _, reason := range proven {
		want[`mpmetrics_files_skipped{reason="`+reason+`"}`] = 0
	}
	for _, reason := range append(proven, "busy", "io", "deadline", "memory", "gone") {
		want[`mpmetrics_read_errors_total{reason="`+reason+`"}`] = 0
	}
	want[`mpmetrics_files_skipped{reason="damaged"}`] = 1
	want[`mpmetrics_read_errors_total{reason="damaged"}`] = 1
	for _, reason := range []string{"type", "mode", "help", "labels", "buckets", "suffix"} {
		want[`mpmetrics_conflicts{reason="`+reason+`"}`] = 0
		want[`mpmetrics_conflicts_total{reason="`+reason+`"}`] = 0
	}
	want[`mpmetrics_conflicts_total{reason="overlap"}`] = 0
	for _, reason := range []string{"space", "permission", "io", "memory", "descriptors", "removed", "unsupported", "moved", "unreachable", "other"} {
		want[`mpmetrics_degraded{reason="`+reason+`"}`] = 0
	}
	for _, reason := range []string{"version", "byte_order", "damaged", "limit", "refused", "elsewhere"} {
		want[`mpmetrics_absorption_stopped{reason="`+reason+`"}`] = 0
	}
	for _, name := range []string{
		"archive_series", "archive_size_bytes", "last_absorption_timestamp_seconds", "archive_begun_timestamp_seconds", "absorbed_processes_total",
		"quarantined_files_total", "forgotten_series_total", "unabsorbed_sums_total", "archives_put_aside_total",
	} {
		want["mpmetrics_"+name] = 0
	}
	got := samples{}
	for name, v := range all {
		if isSelf(name) {
			got[name] = v
		}
	}
	for _, name := range []string{"mpmetrics_collect_duration_seconds", "mpmetrics_oldest_dead_file_age_seconds"} {
		if d := got[name]; d <= 0 || d > 60 {
			t.Errorf("%s: got %v", name, d)
		}
		delete(got, name)
	}
	equal(t, "about itself", got, want)
}

// Names, help texts and types of the metrics about mpmetrics are as the
// linter of Prometheus wants them.
func TestSelfMetricsLint(t *testing.T) {
	dir := t.TempDir()
	collectCase(t, open(t, dir, "1"), 1)
	problems, err := testutil.GatherAndLint(registryOf(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if isSelf(p.Metric) {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	s, err := store.Open(store.Opts{Location: dir, MaxSeries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 3 {
		s.NewCounter(prometheus.CounterOpts{Name: fmt.Sprintf("c%d_total", i), Help: "h"})
	}
	r := registryOf(t, dir)
	eventually(t, func() bool { return promtest.Flatten(promtest.Gather(t, r))["mpmetrics_dropped_series_total"] == 2 })
	problems, err = testutil.GatherAndLint(r, "mpmetrics_dropped_series_total")
	if err != nil || len(problems) > 0 {
		t.Errorf("dropped series: %v, %v", problems, err)
	}
}

// Who registers a vec of ours beside the collector would expose it twice: the
// registry says so at once, whichever comes first.
func TestRegisteringBesideTheCollector(t *testing.T) {
	for _, location := range []string{"memory:", t.TempDir()} {
		s, err := store.Open(store.Opts{Location: location})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		counter := s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
		vec := s.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h"}, []string{"a"})
		c := collector.New(collector.Opts{Store: s})
		defer c.Close()
		r := prometheus.NewRegistry()
		r.MustRegister(c)
		for name, twice := range map[string]prometheus.Collector{"counter": counter, "vec": vec, "store": s, "collector": collector.New(collector.Opts{Store: s})} {
			if err := r.Register(twice); err == nil {
				t.Errorf("%s beside the collector at %s: no error", name, location)
			}
		}
		other := prometheus.NewRegistry()
		other.MustRegister(vec)
		if err := other.Register(c); err == nil {
			t.Errorf("the collector beside a vec at %s: no error", location)
		}
	}
}

// One process alone passes the strictest registry: everything collected was
// described, and described as it is.
func TestPedanticRegistry(t *testing.T) {
	for _, location := range []string{"memory:", t.TempDir()} {
		s, err := store.Open(store.Opts{Location: location})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"}).Inc()
		s.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h", Unit: "bytes"}, []string{"a"}).WithLabelValues("x").Set(1)
		s.NewHistogram(prometheus.HistogramOpts{Namespace: "n", Name: "h", Help: "h"}).Observe(1)
		s.NewSummaryVec(prometheus.SummaryOpts{Name: "s", Help: "h"}, []string{"b", "a"}).WithLabelValues("x", "y").Observe(1)
		for _, zone := range []string{"a", "b"} { // two definitions of one name
			s.NewCounterVec(prometheus.CounterOpts{
				Name: "zoned_total", Help: "h", ConstLabels: prometheus.Labels{"zone": zone, "area": "1"},
			}, []string{"z"}).WithLabelValues("x").Inc()
		}
		r := prometheus.NewPedanticRegistry()
		c := collector.New(collector.Opts{Store: s})
		defer c.Close()
		r.MustRegister(c)
		for range 2 {
			if got, want := len(scrape(t, r)), 2+12+1+2+2; got < want-1 {
				t.Errorf("%s: %d samples, want about %d", location, got, want)
			}
		}
	}
}

// Hundreds of series stand in one order, from any collector, however the
// processes came.
func TestOrderIsFixed(t *testing.T) {
	dir := t.TempDir()
	r := registryOf(t, dir)
	for p := range 3 {
		w := open(t, dir, strconv.Itoa(p))
		vec := w.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"b", "a"})
		g := w.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "h"}, []string{"x"}, store.All)
		for i := range 200 {
			n := (i*77 + p*13) % 250
			vec.WithLabelValues(strconv.Itoa(n%7), strconv.Itoa(n)).Inc()
			g.WithLabelValues(strconv.Itoa(n)).Set(1)
		}
		scrape(t, r) // a collector that sees them come one by one
	}
	var want string
	for i := range 4 {
		from := prometheus.Gatherer(r)
		if i%2 == 0 {
			from = registryOf(t, dir)
		}
		got := regexp.MustCompile(`(?m)^.*mpmetrics_.*\n`).ReplaceAllString(expose(t, from), "")
		if want == "" {
			want = got
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("scrape %d (-first +this):\n%s", i, diff)
		}
	}
	if n := strings.Count(want, "\n"); n < 800 {
		t.Errorf("%d lines: too few to say anything", n)
	}
}

// The start timestamp is in OpenMetrics as a line of its own: that of the
// oldest contribution, whoever else there is.
func TestCreatedInOpenMetrics(t *testing.T) {
	dir := t.TempDir()
	r := registryOf(t, dir)
	lines := func() map[string]string {
		t.Helper()
		var out bytes.Buffer
		e := expfmt.NewEncoder(&out, expfmt.NewFormat(expfmt.TypeOpenMetrics), expfmt.WithCreatedLines())
		for _, f := range promtest.Gather(t, r) {
			if !isSelf(f.GetName()) {
				if err := e.Encode(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		found := map[string]string{}
		for _, m := range regexp.MustCompile(`(?m)^(\w+_created\S*) (\S+)$`).FindAllStringSubmatch(out.String(), -1) {
			found[m[1]] = m[2]
		}
		return found
	}
	define := func(w *writer) {
		w.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"a"}).WithLabelValues("x").Inc()
		w.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1}}).Observe(1)
		w.NewSummary(prometheus.SummaryOpts{Name: "s", Help: "h"}).Observe(1)
		w.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "h"}).Set(1)
	}
	first := open(t, dir, "1")
	define(first)
	oldest := lines()
	if len(oldest) != 3 {
		t.Fatalf("lines: %v, want one for each but the gauge", oldest)
	}
	define(open(t, dir, "2"))
	first.die()
	if diff := cmp.Diff(oldest, lines()); diff != "" {
		t.Errorf("with a younger process, the older dead (-want +got):\n%s", diff)
	}
	// A series that the oldest process never had begins with its own.
	open(t, dir, "3").NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"a"}).WithLabelValues("y").Inc()
	now := lines()
	if x, y := now[`c_created{a="x"}`], now[`c_created{a="y"}`]; x == "" || y == "" || x == y {
		t.Errorf("series of one family: %q and %q, want two times", x, y)
	}
}
