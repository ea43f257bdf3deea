//go:build linux

package catalogue

import (
	"context"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/contrib/instrumentation/host"
	otelruntime "go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel/attribute"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/mpmetrics/mpmetrics/internal/testing/catalogue"
)

// telemetry is the exporter of OpenTelemetry in each of its translations of names.
var telemetry = []catalogue.Library{
	openTelemetry("otel-underscores-suffixes", otlptranslator.UnderscoreEscapingWithSuffixes),
	openTelemetry("otel-underscores", otlptranslator.UnderscoreEscapingWithoutSuffixes),
	openTelemetry("otel-utf8-suffixes", otlptranslator.NoUTF8EscapingWithSuffixes),
	openTelemetry("otel-no-translation", otlptranslator.NoTranslation),
}

func openTelemetry(name string, s otlptranslator.TranslationStrategyOption) catalogue.Library {
	return catalogue.Library{
		Name:    name,
		Run:     func(r prometheus.Registerer) (any, error) { return measure(r, s) },
		Machine: []string{"go?memory?limit*", "go?processor?limit*"},
		Moving:  []string{"system?*", "process?cpu?*", "go?memory?[^l]*", "go?goroutine*", "go?schedule*"},
	}
}

// measure uses each instrument of OpenTelemetry, with units and words that the rules know, and the
// instruments of the runtime and of the host.
func measure(r prometheus.Registerer, s otlptranslator.TranslationStrategyOption) (any, error) {
	e, err := exporter.New(exporter.WithRegisterer(r), exporter.WithTranslationStrategy(s))
	if err != nil {
		return nil, err
	}
	provider := sdk.NewMeterProvider(
		sdk.WithReader(e), sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "shop"))),
		sdk.WithView(sdk.NewView(
			sdk.Instrument{Name: "job.duration"},
			sdk.Stream{Aggregation: sdk.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: 20}},
		)),
	)
	ctx, meter := context.Background(), provider.Meter("shop")
	requests, err := meter.Int64Counter("http.server.requests", metric.WithUnit("{request}"))
	if err != nil {
		return nil, err
	}
	active, err := meter.Int64UpDownCounter("http.server.active_requests", metric.WithUnit("{request}"))
	if err != nil {
		return nil, err
	}
	duration, err := meter.Float64Histogram("http.server.request.duration", metric.WithUnit("s"))
	if err != nil {
		return nil, err
	}
	jobs, err := meter.Float64Histogram("job.duration", metric.WithUnit("s"))
	if err != nil {
		return nil, err
	}
	for range 10 {
		requests.Add(ctx, 1)
		active.Add(ctx, 1)
		duration.Record(ctx, 0.02)
		jobs.Record(ctx, 3)
		active.Add(ctx, -1)
	}
	active.Add(ctx, 2)
	for _, g := range []struct {
		name, unit string
		value      float64
	}{
		{"cert.expiry.timestamp", "s", 1.8e9},
		{"cache.hit", "1", 0.5},
		{"cpu.utilization", "1", 0.25},
		{"disk.used", "%", 40},
		{"room.temperature", "Cel", 21},
		{"queue.oldest.age", "s", 7},
		{"queue.wait", "ms", 12},
		{"backup.last_run.timestamp", "s", 1.7e9},
		{"memory.limit", "By", 1 << 30},
		{"db.client.connection.count", "{connection}", 3},
		{"db.client.connection.max", "{connection}", 10},
		{"build.info", "", 1},
	} {
		gauge, err := meter.Float64Gauge(g.name, metric.WithUnit(g.unit))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.name, err)
		}
		gauge.Record(ctx, g.value)
	}
	if err := otelruntime.Start(otelruntime.WithMeterProvider(provider)); err != nil {
		return nil, err
	}
	return provider, host.Start(host.WithMeterProvider(provider))
}
