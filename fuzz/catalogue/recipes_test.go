//go:build linux

package catalogue

// The functions below are the recipes of docs/collectors.md, word for word.

import (
	"bytes"
	"database/sql"
	"slices"

	"github.com/VictoriaMetrics/metrics"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"
	ginprometheus "github.com/zsais/go-gin-prometheus"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/mpmetrics/mpmetrics/store"
)

// newClient makes a client for one job. The job closes the client.
func newClient(s *store.Store, brokers ...string) (*kgo.Client, error) {
	shown := kprom.NewMetrics("kafka", kprom.Registerer(s.Registerer()), kprom.FetchAndProduceDetail(kprom.ByTopic, kprom.Records))
	return kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.WithHooks(shown))
}

func newEngine() (*gin.Engine, error) {
	if err := store.InstallAsDefault(); err != nil {
		return nil, err
	}
	e := gin.New()
	e.Use(ginprometheus.NewPrometheus("shop").HandlerFunc())
	return e, nil
}

func newProvider(s *store.Store) (*metric.MeterProvider, error) {
	e, err := otelprometheus.New(
		otelprometheus.WithRegisterer(s.Registerer()),
		otelprometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
	)
	if err != nil {
		return nil, err
	}
	return metric.NewMeterProvider(metric.WithReader(e)), nil
}

func register(s *store.Store, db *sql.DB) error {
	return s.Registerer().Register(collectors.NewDBStatsCollector(db, "shop"))
}

// victoria shows the metrics of a set.
type victoria struct{ set *metrics.Set }

// Describe implements prometheus.Collector: the names are unknown before a metric is made.
func (v victoria) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (v victoria) Collect(ch chan<- prometheus.Metric) {
	var text bytes.Buffer
	v.set.WritePrometheus(&text)
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(&text)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
		return
	}
	for name, family := range families {
		for _, m := range family.Metric {
			var names, values []string
			for _, l := range m.Label {
				names, values = append(names, l.GetName()), append(values, l.GetValue())
			}
			if slices.Contains(names, "quantile") {
				continue // quantiles of several processes do not merge; sum and count do
			}
			desc := prometheus.NewDesc(name, "Of VictoriaMetrics/metrics.", names, nil)
			ch <- prometheus.MustNewConstMetric(desc, prometheus.UntypedValue, m.GetUntyped().GetValue(), values...)
		}
	}
}
