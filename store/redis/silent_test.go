//go:build unix

package redis_test

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/promtest"
	"github.com/mpmetrics/mpmetrics/internal/testing/redisserver"
	"github.com/mpmetrics/mpmetrics/store"
)

var quiet = slog.New(slog.DiscardHandler)

// scrape returns the values of a scrape, by name and label values.
func scrape(t testing.TB, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += "/" + l.GetValue()
			}
			values[name] = number(m)
		}
	}
	return values
}

func number(m *dto.Metric) float64 {
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()) + m.GetUntyped().GetValue()
}

func registryOf(t testing.TB, o collector.Opts) *prometheus.Registry {
	t.Helper()
	o.Logger = quiet
	c := collector.New(o)
	t.Cleanup(func() { _ = c.Close() })
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	return r
}

func open(t testing.TB, o store.Opts) *store.Store {
	t.Helper()
	o.Logger = quiet
	s, err := store.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// While the server does not answer, updates and new series go on, the process says that it is
// degraded, and when it answers again nothing is missing.
func TestSilentServer(t *testing.T) {
	server := redisserver.Start(t)
	location := server.URL("")
	s := open(t, store.Opts{Location: location, FlushInterval: 20 * time.Millisecond})
	v := s.NewCounterVec(prometheus.CounterOpts{Name: "c_total"}, []string{"l"})
	v.WithLabelValues("0").Inc()
	own := registryOf(t, collector.Opts{Store: s})
	promtest.Eventually(t, "the first value", func() bool { return scrape(t, own)["c_total/0"] == 1 })

	server.Pause()
	for i := range 1000 {
		v.WithLabelValues(strconv.Itoa(i)).Inc()
	}
	promtest.Eventually(t, "degraded", func() bool { return s.Degraded() != nil })
	for i := range 1000 {
		v.WithLabelValues(strconv.Itoa(i)).Inc()
	}
	if got := scrape(t, own)[`mpmetrics_degraded/unreachable`]; got != 1 {
		t.Errorf("mpmetrics_degraded{reason=\"unreachable\"} is %v", got)
	}
	server.Continue()
	promtest.Eventually(t, "all values", func() bool {
		all := scrape(t, own)
		return all["c_total/0"] == 3 && all["c_total/999"] == 2 && all["mpmetrics_degraded/unreachable"] == 0
	})
}

// A collector whose server is gone shows what it read last three times, and then leaves cumulative
// metrics out. Other collectors of the registry are not affected, and everything is back when the server is.
func TestServerGone(t *testing.T) {
	server := redisserver.Start(t)
	location := server.URL("")
	s := open(t, store.Opts{Location: location, FlushInterval: 20 * time.Millisecond})
	s.NewCounter(prometheus.CounterOpts{Name: "c_total"}).Inc()
	_ = s.Flush(context.Background())
	r := registryOf(t, collector.Opts{Location: location})
	other := prometheus.NewCounter(prometheus.CounterOpts{Name: "other_total"})
	r.MustRegister(other)
	other.Inc()
	if all := scrape(t, r); all["c_total"] != 1 || all["mpmetrics_up"] != 1 {
		t.Fatalf("before: %v", all)
	}
	server.Kill()
	for n := range 3 {
		if all := scrape(t, r); all["c_total"] != 1 || all["mpmetrics_up"] != 1 {
			t.Errorf("collection %d behind it: %v", n, all)
		}
	}
	all := scrape(t, r)
	if _, there := all["c_total"]; there || all["mpmetrics_up"] != 0 || all["other_total"] != 1 {
		t.Errorf("and then: %v", all)
	}
	server.Again()
	promtest.Eventually(t, "everything again", func() bool {
		all := scrape(t, r)
		return all["c_total"] == 1 && all["mpmetrics_up"] == 1
	})
}

// The default store begins without a server, and heals.
func TestDefaultHeals(t *testing.T) {
	server := redisserver.Start(t)
	server.Stop()
	t.Setenv(store.EnvURL, server.URL("namespace=default-store"))
	c := store.NewCounter(prometheus.CounterOpts{Name: "c_total"})
	c.Inc()
	promtest.Eventually(t, "degraded without a server", func() bool { return store.Default().Degraded() != nil })
	server.Again()
	r := registryOf(t, collector.Opts{})
	promtest.Eventually(t, "the value", func() bool { return scrape(t, r)["c_total"] == 1 })
	if err := store.Default().Degraded(); err != nil {
		t.Error(err)
	}
}

// Open says why it cannot, and not the password.
func TestOpenSaysWhy(t *testing.T) {
	server := redisserver.Start(t, "--requirepass", "secret")
	for location, want := range map[string]string{
		"redis://127.0.0.1:1/0":                                "connection refused",
		"redis://" + server.Addr() + "/0":                      "put user and password into the location",
		"redis://:wrong@" + server.Addr() + "/0":               "put user and password into the location",
		"redis://:secret@" + server.Addr() + "/0?name=shop":    `unknown parameter "name"; there are addr, `,
		"redis://:secret@" + server.Addr() + "/x":              "invalid database number",
		"redis://:secret@" + server.Addr() + "/0?namespace={}": "without braces",
		"redis://:secret@%zz":                                  "not a URL",
	} {
		s, err := store.Open(store.Opts{Location: location, Logger: quiet})
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: opened", location)
			continue
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), ":wrong") {
			t.Errorf("%s: error %q, want one that says %q", location, err, want)
		}
	}
	s := open(t, store.Opts{Location: "redis://:secret@" + server.Addr() + "/0"})
	if !strings.Contains(s.Location(), "secret") {
		t.Error("a collector cannot use the location")
	}
}

// lines takes what is logged.
type lines struct {
	slog.Handler
	mu  sync.Mutex
	all []string
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r.Message)
	return nil
}

// A server that may drop any key is warned about.
func TestEvictionIsWarnedAbout(t *testing.T) {
	server := redisserver.Start(t, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
	l := &lines{Handler: slog.DiscardHandler}
	s, err := store.Open(store.Opts{Location: server.URL(""), Logger: slog.New(l)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	promtest.Eventually(t, "a warning", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.all) == 1 && strings.Contains(l.all[0], "noeviction")
	})
}
