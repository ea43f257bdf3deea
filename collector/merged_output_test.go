package collector_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

func init() {
	// count makes c_total, adds as often as it is told, and says what its own
	// handle has.
	programs["count"] = func(c *child) {
		counter := store.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
		c.say("ready")
		for _, ok := c.wait(); ok; _, ok = c.wait() {
			counter.Inc()
			c.say("%v", testutil.ToFloat64(counter))
		}
	}
	// define makes metrics one by one; it touches none before it is told to.
	programs["define"] = func(c *child) {
		c1 := store.NewCounter(prometheus.CounterOpts{Name: "c1_total", Help: "h"})
		c2 := store.NewCounterVec(prometheus.CounterOpts{Name: "c2_total", Help: "h"}, []string{"a"})
		c.say("defined")
		c.wait()
		c1.Inc()
		c2.WithLabelValues("x").Inc()
		c.say("counted")
		c.wait()
	}
}

// A process that was forked counts for itself. In Go that is a process that was
// started anew: its handles begin at 0, the total goes on.
func TestChildProcessCountsFromZero(t *testing.T) {
	dir := t.TempDir()
	r := registryOf(t, dir)
	parent := open(t, dir, "0")
	c := parent.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
	equal(t, "first", scrape(t, r), samples{"c_total": 0})
	c.Inc()
	c.Inc()
	p := spawn(t, "count", store.EnvDir+"="+dir, store.EnvProcess+"=1")
	p.Line()
	p.Tell("inc")
	if got, want := p.Line(), "1"; got != want {
		t.Errorf("value of the child's own handle: got %s, want %s", got, want)
	}
	equal(t, "merged", scrape(t, r), samples{"c_total": 3})
	if got, want := testutil.ToFloat64(c), 2.0; got != want {
		t.Errorf("value of the parent's own handle: got %v, want %v", got, want)
	}
	p.End()
	equal(t, "after the child", scrape(t, r), samples{"c_total": 3})
}

// A file belongs to a process, and is made when the process first counts.
func TestOneFilePerProcessMadeAtFirstUse(t *testing.T) {
	dir := t.TempDir()
	check := func(when string, want int) {
		t.Helper()
		if got := len(files(t, dir)); got != want {
			t.Errorf("files %s: got %d, want %d", when, got, want)
		}
	}
	first := spawn(t, "define", store.EnvDir+"="+dir)
	first.Line()
	check("with metrics that are defined only", 0)
	first.Tell("count")
	first.Line()
	check("with two metrics of one process", 1)
	second := spawn(t, "define", store.EnvDir+"="+dir)
	second.Line()
	check("with a second process that has not counted", 1)
	second.Tell("count")
	second.Line()
	check("with two processes", 2)
}

// abcd are four labels, each equal to its own name.
var abcd = []string{"a", "b", "c", "d"}

const abcdText = `{a="a",b="b",c="c",d="d"}`

// collectCase makes a counter, a gauge and a histogram with the labels abcd.
func collectCase(t *testing.T, w *writer, observation float64) {
	t.Helper()
	w.NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "c help"}, abcd).WithLabelValues(abcd...).Inc()
	w.NewGaugeVec(prometheus.GaugeOpts{Name: "g", Help: "g help"}, abcd, store.All).WithLabelValues(abcd...).Set(1)
	w.NewHistogramVec(prometheus.HistogramOpts{Name: "h", Help: "h help", Buckets: buckets}, abcd).WithLabelValues(abcd...).Observe(observation)
}

func TestLabelledSeriesOfTwoProcesses(t *testing.T) {
	dir := t.TempDir()
	collectCase(t, open(t, dir, "0"), 1)
	collectCase(t, open(t, dir, "1"), 5)
	equal(t, "merged", fresh(t, dir), join(
		samples{"c_total" + abcdText: 2},
		samples{`g{a="a",b="b",c="c",d="d",process="0"}`: 1, `g{a="a",b="b",c="c",d="d",process="1"}`: 1},
		histogramSamples("h", abcdText, 1, 5),
	))
}

// The samples of one series stand together: parsers take an interleaved family
// for two.
func TestHistogramSeriesAreNotInterleaved(t *testing.T) {
	dir := t.TempDir()
	o := prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: buckets}
	h0 := open(t, dir, "0").NewHistogramVec(o, []string{"view"})
	h1 := open(t, dir, "1").NewHistogramVec(o, []string{"view"})
	h0.WithLabelValues("view1").Observe(1)
	h1.WithLabelValues("view1").Observe(5)
	h1.WithLabelValues("view2").Observe(1)
	r := registryOf(t, dir)
	equal(t, "merged", scrape(t, r), join(
		histogramSamples("h", `{view="view1"}`, 1, 5),
		histogramSamples("h", `{view="view2"}`, 1),
	))
	var views []string
	for _, line := range strings.Split(expose(t, r, "h"), "\n") {
		if _, rest, found := strings.Cut(line, `view="`); found {
			view, _, _ := strings.Cut(rest, `"`)
			if n := len(views); n == 0 || views[n-1] != view {
				views = append(views, view)
			}
		}
	}
	if diff := cmp.Diff([]string{"view1", "view2"}, views); diff != "" {
		t.Errorf("views in the order of the text format (-want +got):\n%s", diff)
	}
}

// expose returns the text format of the families named, or of all.
func expose(t testing.TB, g prometheus.Gatherer, families ...string) string {
	t.Helper()
	server := httptest.NewServer(promhttp.HandlerFor(g, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	defer server.Close()
	url := server.URL
	for i, name := range families {
		url += string("?&"[min(i, 1)]) + "name[]=" + name
	}
	resp, err := server.Client().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Client().CloseIdleConnections()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("scrape: status %s: %s", resp.Status, body)
	}
	return string(body)
}

// Promhttp's name[] parameter leaves exactly the families that are named.
func TestNameFilterOfHandler(t *testing.T) {
	dir := t.TempDir()
	for _, p := range []string{"0", "1"} {
		w := open(t, dir, p)
		w.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "c help"}).Inc()
		w.NewGauge(prometheus.GaugeOpts{Name: "g", Help: "g help"}, store.All).Set(1)
	}
	r := registryOf(t, dir)
	want := "# HELP c_total c help\n# TYPE c_total counter\nc_total 2\n"
	if diff := cmp.Diff(want, expose(t, r, "c_total")); diff != "" {
		t.Errorf("restricted to c_total (-want +got):\n%s", diff)
	}
	if all := expose(t, r); !strings.Contains(all, "\ng{") {
		t.Errorf("unrestricted: no g in\n%s", all)
	}
}

func TestHelpIsKept(t *testing.T) {
	dir := t.TempDir()
	collectCase(t, open(t, dir, "0"), 1)
	collectCase(t, open(t, dir, "1"), 5)
	got := map[string]string{}
	for _, f := range promtest.Gather(t, registryOf(t, dir)) {
		if !isSelf(f.GetName()) {
			got[f.GetName()] = f.GetHelp()
		}
	}
	if diff := cmp.Diff(map[string]string{"c_total": "c help", "g": "g help", "h": "h help"}, got); diff != "" {
		t.Errorf("help (-want +got):\n%s", diff)
	}
}

// What is merged is not cumulative by itself: adding cumulative buckets of two
// processes up once more would count small observations many times. The order
// of the processes makes no difference, nor does the death of one.
func TestCumulativeBucketsAreNotAddedTwice(t *testing.T) {
	for _, order := range [][]float64{{1, 5}, {5, 1}} {
		dir := t.TempDir()
		p1, p2 := open(t, dir, "0"), open(t, dir, "1")
		collectCase(t, p1, order[0])
		collectCase(t, p2, order[1])
		r := registryOf(t, dir)
		for _, when := range []string{"both alive", "one dead", "both dead"} {
			families := promtest.Gather(t, r)
			h := find(t, families, "h").Metric[0].Histogram
			var previous uint64
			got := map[float64]uint64{}
			for _, b := range h.Bucket {
				if n := b.GetCumulativeCount() - previous; n != 0 {
					got[b.GetUpperBound()] = n
				}
				previous = b.GetCumulativeCount()
			}
			if diff := cmp.Diff(map[float64]uint64{1: 1, 5: 1}, got); diff != "" {
				t.Errorf("%v, %s: observations by bucket (-want +got):\n%s", order, when, diff)
			}
			if got, want := h.GetSampleSum(), 6.0; got != want {
				t.Errorf("%v, %s: sum: got %v, want %v", order, when, got, want)
			}
			if when == "both alive" {
				p1.die()
			} else {
				p2.die()
			}
		}
	}
}

func find(t testing.TB, families []*dto.MetricFamily, name string) *dto.MetricFamily {
	t.Helper()
	for _, f := range families {
		if f.GetName() == name {
			return f
		}
	}
	t.Fatalf("no family %s", name)
	return nil
}

// Files may go between the listing and the reading, and directories too.
func TestMissingFilesAndDirectories(t *testing.T) {
	for _, c := range []struct {
		name   string
		remove func(dir string) error
	}{
		{"file", func(dir string) error {
			found, err := filepath.Glob(filepath.Join(dir, layout.Subdirectory, "*"))
			for _, f := range found {
				err = os.Remove(f)
			}
			return err
		}},
		{"subdirectory", func(dir string) error { return os.RemoveAll(filepath.Join(dir, layout.Subdirectory)) }},
		{"directory", os.RemoveAll},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "metrics")
			w := open(t, dir, "0")
			collectCase(t, w, 1)
			w.die() // or it would make its file again
			r := registryWith(t, collector.Opts{Location: dir, NoAbsorption: true})
			before := scrape(t, r)
			if len(before) == 0 {
				t.Fatal("nothing there before")
			}
			if err := c.remove(dir); err != nil {
				t.Fatal(err)
			}
			after := samples{} // all that was counted here is gone
			if c.name == "file" {
				after = before // without it the totals of others would dip
			}
			equal(t, "afterwards", scrape(t, r), after)
			equal(t, "about itself", only(scrapeSelf(t, r), "mpmetrics_up", "mpmetrics_read_errors_total"), samples{"mpmetrics_up": 1})
			equal(t, "for a new collector", fresh(t, dir), samples{})
		})
	}
}

// only keeps the samples of some families.
func only(all samples, families ...string) samples {
	out := samples{}
	for name, v := range all {
		family, _, _ := strings.Cut(name, "{")
		for _, f := range families {
			if family == f {
				out[name] = v
			}
		}
	}
	return out
}

// The reference warns that a series stays which was removed, and one after clear. Ours
// leave, and go on when they are made again.
func TestDeletedSeriesLeaveAndGoOn(t *testing.T) {
	dir := t.TempDir()
	vec := open(t, dir, "123").NewCounterVec(prometheus.CounterOpts{Name: "c_total", Help: "h"}, []string{"l"})
	r := registryOf(t, dir)
	for _, l := range []string{"a", "b", "c"} {
		vec.WithLabelValues(l).Add(2)
	}
	equal(t, "before", scrape(t, r), samples{`c_total{l="a"}`: 2, `c_total{l="b"}`: 2, `c_total{l="c"}`: 2})
	vec.DeleteLabelValues("a")
	eventually(t, func() bool { _, there := scrape(t, r)[`c_total{l="a"}`]; return !there })
	equal(t, "removed", scrape(t, r), samples{`c_total{l="b"}`: 2, `c_total{l="c"}`: 2})
	vec.Reset()
	eventually(t, func() bool { return len(scrape(t, r)) == 0 })
	vec.WithLabelValues("a").Inc()
	equal(t, "made again", scrape(t, r), samples{`c_total{l="a"}`: 3})
	equal(t, "for a new collector", fresh(t, dir), samples{`c_total{l="a"}`: 3})
}

// A name is built once: neither a namespace nor the prefix of a wrapping
// registerer is put in front of it twice.
func TestPrefixAndNamespaceAreAppliedOnce(t *testing.T) {
	dir := t.TempDir()
	vec := open(t, dir, "0").NewCounterVec(prometheus.CounterOpts{
		Namespace: "ns", Subsystem: "ss", Name: "m_seconds_total", Help: "h",
	}, []string{"status", "method"})
	vec.WithLabelValues("200", "GET").Inc()
	vec.WithLabelValues("404", "POST").Inc()
	want := samples{
		`ns_ss_m_seconds_total{method="GET",status="200"}`:  1,
		`ns_ss_m_seconds_total{method="POST",status="404"}`: 1,
	}
	equal(t, "merged", fresh(t, dir), want)

	c := collector.New(collector.Opts{Location: dir})
	defer c.Close()
	r := prometheus.NewRegistry()
	prometheus.WrapRegistererWith(prometheus.Labels{"zone": "z"}, prometheus.WrapRegistererWithPrefix("app_", r)).MustRegister(c)
	prefixed := samples{}
	for name, v := range want {
		prefixed["app_"+strings.Replace(name, "}", `,zone="z"}`, 1)] = v
	}
	// Twice: a wrapper must not grow what the collector keeps between scrapes.
	for range 2 {
		equal(t, "through wrapping registerers", only(promtest.Flatten(promtest.Gather(t, r)), "app_ns_ss_m_seconds_total"), prefixed)
	}
	equal(t, "as it was", fresh(t, dir), want)
}
