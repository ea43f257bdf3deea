package collector_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/layout"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/store"
)

// samples are the samples of a scrape.
type samples = promtest.Samples

// writer is a store that a test writes with. To readers each is a process of
// its own.
type writer struct {
	*store.Store
	t testing.TB
}

// open makes a writer whose `process` label is name.
func open(t testing.TB, dir, name string) *writer {
	t.Helper()
	s, err := store.Open(store.Opts{Location: dir, Process: name})
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{Store: s, t: t}
	t.Cleanup(w.die)
	return w
}

// die releases the lock of the writer's file: what the kernel does for a
// process that ends.
func (w *writer) die() {
	w.t.Helper()
	if err := w.Close(); err != nil {
		w.t.Error(err)
	}
}

// registryOf returns a registry with a collector of dir alone.
func registryOf(t testing.TB, dir string) *prometheus.Registry {
	t.Helper()
	return registryWith(t, collector.Opts{Location: dir})
}

func registryWith(t testing.TB, o collector.Opts) *prometheus.Registry {
	t.Helper()
	c := collector.New(o)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	return r
}

// scrape returns what users see, without the metrics about mpmetrics.
func scrape(t testing.TB, g prometheus.Gatherer) samples {
	t.Helper()
	all := promtest.Flatten(promtest.Gather(t, g))
	maps.DeleteFunc(all, func(name string, _ float64) bool { return isSelf(name) })
	return all
}

// scrapeSelf returns the metrics about mpmetrics, without those that are 0.
func scrapeSelf(t testing.TB, g prometheus.Gatherer) samples {
	t.Helper()
	all := promtest.Flatten(promtest.Gather(t, g))
	maps.DeleteFunc(all, func(name string, v float64) bool { return !isSelf(name) || v == 0 })
	return all
}

func isSelf(name string) bool { return strings.HasPrefix(name, "mpmetrics_") }

// fresh scrapes dir by a collector that has no memory of earlier scrapes.
func fresh(t testing.TB, dir string) samples {
	t.Helper()
	return scrape(t, registryOf(t, dir))
}

// equal fails the test when the samples are not exactly these.
func equal(t testing.TB, what string, got, want samples) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// holds fails the test when one of these samples is missing or different.
func holds(t testing.TB, what string, got, want samples) {
	t.Helper()
	for name, v := range want {
		if g, ok := got[name]; !ok || g != v {
			t.Errorf("%s: %s is %v (there: %v), want %v", what, name, g, ok, v)
		}
	}
}

// buckets are those of the reference's tests, not client_golang's.
var buckets = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// histogramSamples are the samples of a histogram with those buckets.
func histogramSamples(name, labels string, observations ...float64) samples {
	out := samples{}
	tag := func(le string) string {
		if labels == "" {
			return `{le="` + le + `"}`
		}
		pairs := append(strings.Split(strings.Trim(labels, "{}"), ","), `le="`+le+`"`)
		slices.Sort(pairs)
		return "{" + strings.Join(pairs, ",") + "}"
	}
	sum := 0.0
	for _, b := range buckets {
		out[name+"_bucket"+tag(strconv.FormatFloat(b, 'g', -1, 64))] = 0
	}
	for _, v := range observations {
		sum += v
		for _, b := range buckets {
			if v <= b {
				out[name+"_bucket"+tag(strconv.FormatFloat(b, 'g', -1, 64))]++
			}
		}
	}
	n := float64(len(observations))
	out[name+"_bucket"+tag("+Inf")], out[name+"_count"+labels], out[name+"_sum"+labels] = n, n, sum
	return out
}

// join puts samples together.
func join(all ...samples) samples {
	out := samples{}
	for _, s := range all {
		maps.Copy(out, s)
	}
	return out
}

// files returns the published files below dir.
func files(t testing.TB, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, layout.Subdirectory, "*"+layout.Extension))
	if err != nil {
		t.Fatal(err)
	}
	return found
}
