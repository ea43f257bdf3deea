package collector_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
)

// failing is a collector with a metric, and with a mishap after the metric.
type failing struct {
	desc   *prometheus.Desc
	mishap func(ch chan<- prometheus.Metric)
}

func (f failing) Describe(ch chan<- *prometheus.Desc) { ch <- f.desc }

func (f failing) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, 1, "sound")
	f.mishap(ch)
}

// brokenMetric is a metric that cannot be written.
type brokenMetric struct{ prometheus.Metric }

func brokenOf(d *prometheus.Desc) prometheus.Metric {
	return brokenMetric{prometheus.NewInvalidMetric(d, errors.New("database is away"))}
}

// labelled is a metric that writes labels of its own.
type labelled struct {
	prometheus.Metric
	labels []string // names and values
}

func (l labelled) Write(out *dto.Metric) error {
	err := l.Metric.Write(out)
	out.Label = nil
	for i := 0; i < len(l.labels); i += 2 {
		out.Label = append(out.Label, &dto.LabelPair{Name: &l.labels[i], Value: &l.labels[i+1]})
	}
	return err
}

// The error of a foreign collector reaches who chose so, and does not cost the other metrics.
func TestCollectorErrors(t *testing.T) {
	desc := prometheus.NewDesc("rows", "h", []string{"table"}, nil)
	for _, c := range []struct {
		name   string
		mishap func(ch chan<- prometheus.Metric)
		text   string // "": no error
	}{
		{"all is well", func(chan<- prometheus.Metric) {}, ""},
		{"a metric is an error", func(ch chan<- prometheus.Metric) { ch <- brokenOf(desc) }, "database is away"},
		{"a metric of no description is an error", func(ch chan<- prometheus.Metric) {
			err := errors.New("table is gone")
			ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
		}, "table is gone"},
		{"a label value is not UTF-8", func(ch chan<- prometheus.Metric) {
			ch <- labelled{prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, 1, ""), []string{"table", "\xff"}}
		}, "UTF-8"},
		{"a label is there twice", func(ch chan<- prometheus.Metric) {
			ch <- labelled{prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, 1, ""), []string{"table", "a", "table", "b"}}
		}, `"table"`},
		{"a summary has a label of its own samples", func(ch chan<- prometheus.Metric) {
			ch <- labelled{prometheus.MustNewConstSummary(prometheus.NewDesc("seconds", "h", nil, nil), 1, 1, nil), []string{"quantile", "a"}}
		}, `"quantile"`},
		{"a panic", func(chan<- prometheus.Metric) { panic("index out of luck") }, "index out of luck"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, t.TempDir(), "1")
			s.Registerer().MustRegister(failing{desc, c.mishap})
			promauto.With(s.Registerer()).NewCounter(prometheus.CounterOpts{Name: "others_total", Help: "h"}).Add(3)
			for _, o := range []struct {
				name    string
				chosen  bool
				handles promhttp.HandlerErrorHandling
				status  int
			}{
				{"not chosen", false, promhttp.HTTPErrorOnError, http.StatusOK},
				{"chosen", true, promhttp.HTTPErrorOnError, http.StatusInternalServerError},
				{"chosen, and the scrape goes on", true, promhttp.ContinueOnError, http.StatusOK},
			} {
				t.Run(o.name, func(t *testing.T) {
					if c.text == "" {
						o.status = http.StatusOK
					}
					opts := collector.Opts{Store: s.Store, NoAbsorption: true, CollectorErrors: o.chosen}
					scraped := collector.New(opts)
					defer scraped.Close()
					registry := prometheus.NewRegistry()
					registry.MustRegister(scraped)
					for name, g := range map[string]prometheus.Gatherer{"registry": registry, "Gatherer": gathererOf(t, prometheus.NewRegistry(), opts)} {
						_, err := g.Gather()
						if got := err != nil; got != (o.chosen && c.text != "") || got && !strings.Contains(err.Error(), c.text) {
							t.Errorf("%s: error %v", name, err)
						}
						w := httptest.NewRecorder()
						promhttp.HandlerFor(g, promhttp.HandlerOpts{ErrorHandling: o.handles}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
						if w.Code != o.status {
							t.Errorf("%s: status %d, want %d", name, w.Code, o.status)
						}
						if w.Code == http.StatusOK && !strings.Contains(w.Body.String(), "\nothers_total 3\n") {
							t.Errorf("%s: the metric of another collector is missing:\n%s", name, w.Body)
						}
					}
				})
			}
		})
	}
}

// unchecked is a collector that describes nothing, and sends the metrics that are in it at the moment.
type unchecked struct{ metrics []prometheus.Metric }

func (*unchecked) Describe(chan<- *prometheus.Desc) {}

func (u *unchecked) Collect(ch chan<- prometheus.Metric) {
	for _, m := range u.metrics {
		ch <- m
	}
}

// A registry returns an error for two collectors that do not agree about a family, or that show one
// series.
func TestErrorsOfCollectorsThatConflict(t *testing.T) {
	metric := func(help string, kind prometheus.ValueType, v float64, table ...string) prometheus.Metric {
		labels := []string{"table"}[:len(table)]
		return prometheus.MustNewConstMetric(prometheus.NewDesc("rows", help, labels, nil), kind, v, table...)
	}
	first := metric("h", prometheus.CounterValue, 1)
	for _, c := range []struct {
		name   string
		second prometheus.Metric
		text   string
	}{
		{"the same series", metric("h", prometheus.CounterValue, 2), "was collected before with the same name and label values"},
		{"another type", metric("h", prometheus.GaugeValue, 2, "a"), "a GAUGE"},
		{"another help", metric("other", prometheus.CounterValue, 2, "a"), `help "other"`},
		{"another series", metric("h", prometheus.CounterValue, 2, "a"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, t.TempDir(), "1")
			second := &unchecked{[]prometheus.Metric{c.second}}
			plain := prometheus.NewRegistry()
			plain.MustRegister(&unchecked{[]prometheus.Metric{first}}, second)
			if _, err := plain.Gather(); (err != nil) != (c.text != "") {
				t.Fatalf("a registry of client_golang: error %v", err)
			}
			s.Registerer().MustRegister(&unchecked{[]prometheus.Metric{first}}, second)
			g := gathererOf(t, prometheus.NewRegistry(), collector.Opts{Store: s.Store, NoAbsorption: true, CollectorErrors: true})
			for range 2 { // the second look sees nothing new
				_, err := g.Gather()
				if got := err != nil; got != (c.text != "") || got && !strings.Contains(err.Error(), c.text) {
					t.Errorf("error %v, want %q", err, c.text)
				}
			}
			second.metrics = nil
			if _, err := g.Gather(); err != nil {
				t.Errorf("error %v after the end of the conflict", err)
			}
		})
	}
}
