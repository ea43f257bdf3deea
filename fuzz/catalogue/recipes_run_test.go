//go:build linux

package catalogue

import (
	"context"
	"database/sql"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/VictoriaMetrics/metrics"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/catalogue"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/testdir"
	"github.com/mpmetrics/mpmetrics/store"
)

// openStore opens a store that is closed with the test.
func openStore(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Opts{Location: dir, NoAbsorption: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// merged returns the merged samples of a directory, after a flush of the stores.
func merged(t *testing.T, dir string, all ...*store.Store) promtest.Samples {
	t.Helper()
	for _, s := range all {
		if err := s.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c := collector.New(collector.Opts{Location: dir, NoAbsorption: true})
	defer c.Close()
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	return promtest.Flatten(promtest.Gather(t, r))
}

// total is the sum of the samples of a name.
func total(samples promtest.Samples, name string) (sum float64) {
	for sample, v := range samples {
		if n, _, _ := strings.Cut(sample, "{"); n == name {
			sum += v
		}
	}
	return sum
}

// Each client unregisters its metrics when the client closes, and the next client registers new
// metrics of the same names.
func TestKafkaClientForEachJob(t *testing.T) {
	dir := testdir.New(t)
	s := openStore(t, dir)
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	for range 3 {
		client, err := newClient(s, broker.ListenAddrs()...)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		for range 100 {
			client.Produce(ctx, &kgo.Record{Topic: "orders", Value: []byte("one")}, nil)
		}
		if err := client.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		client.Close()
	}
	if got := merged(t, dir, s)[`kafka_produce_records_total{topic="orders"}`]; got != 300 {
		t.Errorf("%v records, want 300", got)
	}
}

// defaultRegistry is a service with a library that knows the default registry alone.
var defaultRegistry = catalogue.Library{Name: "default-registry", Run: func(prometheus.Registerer) (any, error) {
	gin.SetMode(gin.ReleaseMode)
	e, err := newEngine()
	if err != nil {
		return nil, err
	}
	e.GET("/", func(c *gin.Context) { c.String(http.StatusOK, "hello") })
	answerTen(e)
	return e, nil
}}

func TestLibraryOfTheDefaultRegistry(t *testing.T) {
	_, all := catalogue.ThreeProcesses(t, defaultRegistry)
	for name, want := range map[string]float64{"shop_requests_total": 30, "shop_request_duration_seconds": 30, "go_gc_gogc_percent": 100} {
		if all[name] != want {
			t.Errorf("%s is %v, want %v", name, all[name], want)
		}
	}
}

func TestOpenTelemetry(t *testing.T) {
	dir := testdir.New(t)
	var all []*store.Store
	for range 2 {
		s := openStore(t, dir)
		p, err := newProvider(s)
		if err != nil {
			t.Fatal(err)
		}
		requests, err := p.Meter("shop").Int64Counter("http.server.requests")
		if err != nil {
			t.Fatal(err)
		}
		requests.Add(t.Context(), 10)
		all = append(all, s)
	}
	if n := total(merged(t, dir, all...), "http_server_requests_total"); n != 20 {
		t.Errorf("%v requests, want 20", n)
	}
}

// What is used of the pools is a share of what the pools have.
func TestPoolsOfADatabase(t *testing.T) {
	dir := testdir.New(t)
	var all []*store.Store
	for range 2 {
		db := sql.OpenDB(database{})
		db.SetMaxOpenConns(10)
		for range 8 {
			c, err := db.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
		s := openStore(t, dir)
		if err := register(s, db); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	got := merged(t, dir, all...)
	used, size := got[`go_sql_in_use_connections{db_name="shop"}`], got[`go_sql_max_open_connections{db_name="shop"}`]
	if used != 16 || size != 20 {
		t.Errorf("%v of %v connections are in use, want 16 of 20", used, size)
	}
}

// The counts of a process that has ended stay, of histograms too.
func TestMetricsOfVictoriaMetrics(t *testing.T) {
	dir := testdir.New(t)
	for i := range 2 {
		s := openStore(t, dir)
		set := metrics.NewSet()
		s.Registerer().MustRegister(victoria{set})
		set.GetOrCreateCounter(`shop_orders_total{payment="card"}`).Add(10)
		set.GetOrCreateGauge("shop_queue_length", func() float64 { return 3 })
		set.GetOrCreateHistogram("shop_duration_seconds").Update(0.5)
		if i == 0 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got := merged(t, dir, s)
		for name, want := range map[string]float64{
			`shop_orders_total{payment="card"}`: 20, "shop_queue_length": 3, "shop_duration_seconds_count": 2, "shop_duration_seconds_sum": 1,
			`shop_duration_seconds_bucket{vmrange="4.642e-01...5.275e-01"}`: 2,
		} {
			if got[name] != want {
				t.Errorf("%s is %v, want %v: %v", name, got[name], want, got)
			}
		}
	}
}

// block is a block of Go in Markdown.
var block = regexp.MustCompile("(?s)```go\n(.*?)```")

// The recipes of the document are those of this module, which run.
func TestRecipesOfTheDocumentRun(t *testing.T) {
	text, err := os.ReadFile("../../docs/collectors.md")
	if err != nil {
		t.Fatal(err)
	}
	_, recipes, found := strings.Cut(string(text), "\n## Recipes\n")
	if !found {
		t.Fatal("docs/collectors.md has no recipes")
	}
	var code strings.Builder
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, deeper...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	blocks := block.FindAllStringSubmatch(recipes, -1)
	if len(blocks) < 7 {
		t.Errorf("%d recipes, want 7 at least", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(code.String(), b[1]) {
			t.Errorf("no test runs the recipe\n%s", b[1])
		}
	}
}
