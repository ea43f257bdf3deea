//go:build unix

package redis_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/valkey-io/valkey-go"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/internal/testing/redisserver"
	"github.com/mpmetrics/mpmetrics/store"
)

// The alternative is what libraries do that have no memory of their own: each update is
// an HINCRBYFLOAT, of a hash for each metric with a field for each series.

func openStore(b *testing.B, location string) *store.Store {
	b.Helper()
	s, err := store.Open(store.Opts{Location: location, FlushInterval: time.Hour, NoAbsorption: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

func client(b *testing.B, server *redisserver.Server) valkey.Client {
	b.Helper()
	c, err := valkey.NewClient(valkey.ClientOption{InitAddress: []string{server.Addr()}, DisableCache: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}

func field(n int) string { return `{"path":"/item/` + strconv.Itoa(n) + `"}` }

func BenchmarkUpdate(b *testing.B) {
	server := redisserver.Start(b)
	for _, x := range []struct{ name, location string }{{"memory", "memory:"}, {"redis", server.URL("namespace=update")}} {
		b.Run("backend="+x.name, func(b *testing.B) {
			c := openStore(b, x.location).NewCounterVec(prometheus.CounterOpts{Name: "c_total"}, []string{"path"}).WithLabelValues("x")
			for b.Loop() {
				c.Inc()
			}
		})
	}
	b.Run("backend=hincrbyfloat", func(b *testing.B) {
		c := client(b, server)
		for b.Loop() {
			if err := c.Do(context.Background(), c.B().Hincrbyfloat().Key("c_total").Field(field(0)).Increment(1).Build()).Error(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkFlush(b *testing.B) {
	server := redisserver.Start(b)
	for _, n := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("changed=%d/backend=redis", n), func(b *testing.B) {
			s := openStore(b, server.URL(fmt.Sprintf("namespace=flush-%d", n)))
			vec := s.NewCounterVec(prometheus.CounterOpts{Name: "c_total"}, []string{"path"})
			all := make([]prometheus.Counter, n)
			for i := range all {
				all[i] = vec.WithLabelValues("/item/" + strconv.Itoa(i))
			}
			_ = s.Flush(context.Background())
			for b.Loop() {
				for _, c := range all {
					c.Inc()
				}
				_ = s.Flush(context.Background())
			}
		})
		b.Run(fmt.Sprintf("changed=%d/backend=hincrbyfloat", n), func(b *testing.B) {
			c := client(b, server)
			for b.Loop() {
				commands := make(valkey.Commands, n)
				for i := range commands {
					commands[i] = c.B().Hincrbyfloat().Key("c_total").Field(field(i)).Increment(1).Build()
				}
				for _, r := range c.DoMulti(context.Background(), commands...) {
					if err := r.Error(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func write(b *testing.B, g prometheus.Gatherer) {
	families, err := g.Gather()
	if err != nil {
		b.Fatal(err)
	}
	e := expfmt.NewEncoder(io.Discard, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScrape is of 64 processes with 1000 counters each, which all change between two
// scrapes, or none of which does. One hash holds what HINCRBYFLOAT has summed up before: no
// scrape could tell the processes apart, or do without one that is dead.
func BenchmarkScrape(b *testing.B) {
	server := redisserver.Start(b)
	location := server.URL("namespace=scrape")
	var stores []*store.Store
	var all []prometheus.Counter
	for range 64 {
		s := openStore(b, location)
		stores = append(stores, s)
		vec := s.NewCounterVec(prometheus.CounterOpts{Name: "c_total"}, []string{"path"})
		for i := range 1000 {
			c := vec.WithLabelValues("/item/" + strconv.Itoa(i))
			c.Inc()
			all = append(all, c)
		}
		_ = s.Flush(context.Background())
	}
	c := collector.New(collector.Opts{Location: location, NoAbsorption: true})
	b.Cleanup(func() { _ = c.Close() })
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	for _, changing := range []bool{true, false} {
		b.Run(fmt.Sprintf("processes=64/series=1000/changing=%t/backend=redis", changing), func(b *testing.B) {
			write(b, r)
			for b.Loop() {
				b.StopTimer()
				if changing {
					for _, c := range all {
						c.Inc()
					}
				}
				for _, s := range stores {
					if changing {
						_ = s.Flush(context.Background())
					}
				}
				b.StartTimer()
				write(b, r)
			}
		})
	}
	b.Run("processes=1/series=1000/backend=registry", func(b *testing.B) {
		plain := prometheus.NewRegistry()
		vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c_total"}, []string{"path"})
		plain.MustRegister(vec)
		for i := range 1000 {
			vec.WithLabelValues("/item/" + strconv.Itoa(i)).Inc()
		}
		for b.Loop() {
			write(b, plain)
		}
	})
	b.Run("processes=1/series=1000/backend=hincrbyfloat", func(b *testing.B) {
		c := client(b, server)
		for i := range 1000 {
			if err := c.Do(context.Background(), c.B().Hincrbyfloat().Key("c_total").Field(field(i)).Increment(1).Build()).Error(); err != nil {
				b.Fatal(err)
			}
		}
		for b.Loop() {
			fields, err := c.Do(context.Background(), c.B().Hgetall().Key("c_total").Build()).AsStrMap()
			if err != nil {
				b.Fatal(err)
			}
			var out bytes.Buffer
			for f, v := range fields {
				fmt.Fprintf(&out, "c_total{path=%q} %s\n", f[len(`{"path":"`):len(f)-2], v)
			}
		}
	})
}

// BenchmarkMemory reports what the server keeps of one series.
func BenchmarkMemory(b *testing.B) {
	const n = 10_000
	for _, backend := range []string{"redis", "hincrbyfloat"} {
		b.Run("backend="+backend, func(b *testing.B) {
			server := redisserver.Start(b)
			used := func() float64 {
				text := server.Do("eval", `local sum = 0
					for _, key in ipairs(redis.call('keys', '*')) do sum = sum + redis.call('memory', 'usage', key, 'samples', '0') end
					return tostring(sum)`, "0")
				v, err := strconv.ParseFloat(text, 64)
				if err != nil {
					b.Fatal(err)
				}
				return v
			}
			if backend == "redis" {
				s := openStore(b, server.URL(""))
				vec := s.NewCounterVec(prometheus.CounterOpts{Name: "c_total"}, []string{"path"})
				for i := range n {
					vec.WithLabelValues("/item/" + strconv.Itoa(i)).Add(float64(i))
				}
				_ = s.Flush(context.Background())
			} else {
				c := client(b, server)
				for i := range n {
					if err := c.Do(context.Background(), c.B().Hincrbyfloat().Key("c_total").Field(field(i)).Increment(float64(i)).Build()).Error(); err != nil {
						b.Fatal(err)
					}
				}
			}
			after := used()
			for b.Loop() { // nothing that takes time
			}
			b.ReportMetric(after/n, "B/series")
		})
	}
}
