//go:build linux

package catalogue

import (
	"context"
	"runtime"
	"time"

	"github.com/VictoriaMetrics/metrics"
	gometrics "github.com/hashicorp/go-metrics"
	gometricsprometheus "github.com/hashicorp/go-metrics/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"

	"github.com/mpmetrics/mpmetrics/internal/testing/catalogue"
)

var clients = []catalogue.Library{
	{Name: "victoriametrics", Run: victoriaMetrics},
	{Name: "kprom", Run: kafkaClient, Moving: []string{"kafka_*_bytes_total", "kafka_connects_total", "kafka_*_seconds", "kafka_*_batches_total"}},
	{Name: "go-metrics", Run: goMetrics, Moving: []string{"shop_runtime_*"}},
}

// kafkaClient writes ten records into a broker of the same process, and reads the records.
func kafkaClient(r prometheus.Registerer) (any, error) {
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		return nil, err
	}
	metrics := kprom.NewMetrics(
		"kafka", kprom.Registerer(r), kprom.FetchAndProduceDetail(kprom.ByTopic, kprom.Records, kprom.Batches, kprom.UncompressedBytes, kprom.CompressedBytes),
		kprom.Histograms(kprom.ReadWait, kprom.ReadTime, kprom.WriteWait, kprom.WriteTime, kprom.RequestDurationE2E),
	)
	counted := make(batches, 10)
	client, err := kgo.NewClient(kgo.SeedBrokers(broker.ListenAddrs()...), kgo.WithHooks(metrics, counted), kgo.ConsumeTopics("orders"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range 10 {
		if err := client.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("one")}).FirstErr(); err != nil {
			return nil, err
		}
		<-counted
	}
	for n := 0; n < 10; {
		fetched := client.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			return nil, err
		}
		n += fetched.NumRecords()
	}
	return []any{broker, client}, nil
}

// batches has an element for each batch that the hooks before have counted. A batch is counted after
// its record was produced.
type batches chan struct{}

// OnProduceBatchWritten implements kgo.HookProduceBatchWritten.
func (b batches) OnProduceBatchWritten(kgo.BrokerMetadata, string, int32, kgo.ProduceBatchMetrics) {
	b <- struct{}{}
}

// goMetrics uses each instrument, and the metrics of the runtime.
func goMetrics(r prometheus.Registerer) (any, error) {
	sink, err := gometricsprometheus.NewPrometheusSinkFrom(gometricsprometheus.PrometheusOpts{Registerer: r})
	if err != nil {
		return nil, err
	}
	c := gometrics.DefaultConfig("shop")
	c.EnableHostname, c.EnableRuntimeMetrics = false, false
	m, err := gometrics.New(c, sink)
	if err != nil {
		return nil, err
	}
	for range 10 {
		m.IncrCounter([]string{"requests"}, 1)
		m.AddSample([]string{"request", "size"}, 100)
		m.MeasureSince([]string{"request", "time"}, time.Now())
	}
	m.SetGauge([]string{"queue", "depth"}, 3)
	m.SetGauge([]string{"raft", "last_index"}, 17)
	runtime.GC()
	m.EmitRuntimeStats()
	return m, nil
}

// victoriaMetrics shows each kind of metric by the recipe of docs/collectors.md.
func victoriaMetrics(r prometheus.Registerer) (any, error) {
	set := metrics.NewSet()
	for range 10 {
		set.GetOrCreateCounter(`shop_orders_total{payment="card"}`).Inc()
		set.GetOrCreateFloatCounter("shop_price_total").Add(0.5)
		set.GetOrCreateHistogram("shop_duration_seconds").Update(0.5)
		set.GetOrCreatePrometheusHistogram("shop_wait_seconds").Update(0.5)
		set.GetOrCreateSummary("shop_size_bytes").Update(100)
	}
	set.GetOrCreateGauge("shop_queue_length", func() float64 { return 3 })
	set.GetOrCreateGauge("shop_cache_hit_ratio", func() float64 { return 0.5 })
	return set, r.Register(victoria{set})
}
