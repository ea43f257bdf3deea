//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"testing"

	"github.com/valkey-io/valkey-go"

	"github.com/mpmetrics/mpmetrics/internal/testing/redisserver"
)

// BenchmarkSlowRedis is what libraries do that have no memory of their own: a command for each update, and a hash for
// each metric, in which the server sums up.
func BenchmarkSlowRedis(b *testing.B) {
	for _, program := range []string{"redis-server", "redis-cli"} {
		if _, err := exec.LookPath(program); err != nil {
			b.Skip(err)
		}
	}
	server := redisserver.Start(b)
	client, err := valkey.NewClient(valkey.ClientOption{InitAddress: []string{server.Addr()}, DisableCache: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	const key, series = "requests_total", 1000
	inc := func(field string) {
		if err := client.Do(context.Background(), client.B().Hincrbyfloat().Key(key).Field(field).Increment(1).Build()).Error(); err != nil {
			b.Fatal(err)
		}
	}
	run := func(row string, do func()) {
		b.Run(row+"/lib="+redisPeer, func(b *testing.B) {
			for b.Loop() {
				do()
			}
		})
	}
	fields := labelValues(series)
	for range slowRounds {
		run(increment.row, func() { inc(fields[7]) })
	}
	counted := 0
	for _, s := range scrapes {
		if s.shape != "counters" || s.series != series || s.processes > 64 || s.dead > 0 {
			continue
		}
		for ; counted < s.processes; counted++ { // what more processes have counted is in the same hash
			for _, f := range fields {
				inc(f)
			}
		}
		for range slowRounds {
			run(s.row, func() {
				all, err := client.Do(context.Background(), client.B().Hgetall().Key(key).Build()).AsStrMap()
				if err != nil || len(all) != series {
					b.Fatal(len(all), err)
				}
				var out bytes.Buffer
				for f, v := range all {
					fmt.Fprintf(&out, "%s{path=%q} %s\n", key, f, v)
				}
			})
		}
	}
}
