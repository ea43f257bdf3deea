// Package promtest scrapes registries and pages for tests, and waits for the results of background
// work.
package promtest

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Patience bounds Eventually, far above the time that background work needs.
const Patience = 20 * time.Second

// Samples are the samples of a scrape as the text format has them, by name and labels:
// `h_bucket{le="5"}`. Labels are sorted.
type Samples map[string]float64

// Gather gathers the families of a registry. The test fails when the registry returns an error.
func Gather(t testing.TB, g prometheus.Gatherer) []*dto.MetricFamily {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatalf("gather: %v", err)
	}
	return families
}

// Flatten returns all samples of families.
func Flatten(families []*dto.MetricFamily) Samples {
	out := Samples{}
	Walk(families, func(name string, v float64) { out[name] = v })
	return out
}

// Walk passes all samples to see, in the order of the scrape.
func Walk(families []*dto.MetricFamily, see func(name string, v float64)) {
	for _, f := range families {
		for _, m := range f.Metric {
			add := func(suffix string, v float64, extra ...string) {
				see(f.GetName()+suffix+labels(m, extra...), v)
			}
			switch f.GetType() {
			case dto.MetricType_COUNTER:
				add("", m.Counter.GetValue())
			case dto.MetricType_GAUGE:
				add("", m.Gauge.GetValue())
			case dto.MetricType_UNTYPED:
				add("", m.Untyped.GetValue())
			case dto.MetricType_SUMMARY:
				add("_sum", m.Summary.GetSampleSum())
				add("_count", float64(m.Summary.GetSampleCount()))
			case dto.MetricType_HISTOGRAM:
				for _, b := range m.Histogram.Bucket {
					add("_bucket", float64(b.GetCumulativeCount()), "le", strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))
				}
				add("_bucket", float64(m.Histogram.GetSampleCount()), "le", "+Inf")
				add("_sum", m.Histogram.GetSampleSum())
				add("_count", float64(m.Histogram.GetSampleCount()))
			}
		}
	}
}

func labels(m *dto.Metric, extra ...string) string {
	var pairs []string
	for _, l := range m.Label {
		pairs = append(pairs, l.GetName()+"="+strconv.Quote(l.GetValue()))
	}
	for i := 0; i < len(extra); i += 2 {
		pairs = append(pairs, extra[i]+"="+strconv.Quote(extra[i+1]))
	}
	if len(pairs) == 0 {
		return ""
	}
	slices.Sort(pairs)
	return "{" + strings.Join(pairs, ",") + "}"
}

// Get returns the page at an address, over a kept connection if the server keeps connections.
func Get(url string) (string, error) {
	answer, err := http.Get(url)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s\n%s", url, answer.Status, b)
	}
	return string(b), err
}

// Scrape returns the text at an address. The test fails when the server does not answer with
// status 200.
func Scrape(t testing.TB, url string) string {
	t.Helper()
	text, err := Get(url)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Sample is the value of a sample in an exposition, -1 for a missing sample. The name includes the
// labels, as written.
func Sample(text, name string) float64 {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, name+" "); found {
			if v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64); err == nil {
				return v
			}
		}
	}
	return -1
}

// Within waits until a condition holds, for as long as limit says, and reports whether the
// condition held.
func Within(limit time.Duration, holds func() bool) bool {
	for end := time.Now().Add(limit); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// Eventually waits until a condition holds. The test fails when the condition does not hold within
// Patience.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	if !Within(Patience, holds) {
		t.Fatalf("waited %v in vain: %s", Patience, what)
	}
}
