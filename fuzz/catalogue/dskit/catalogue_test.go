//go:build linux && soak

package dskit

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-kit/log"
	"github.com/grafana/dskit/gate"
	"github.com/grafana/dskit/kv/consul"
	"github.com/grafana/dskit/ring"
	"github.com/grafana/dskit/runtimeconfig"
	"github.com/grafana/dskit/server"
	"github.com/grafana/dskit/services"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/internal/testing/catalogue"
)

var libraries = []catalogue.Library{{
	Name: "dskit", Run: service,
	Moving: []string{"consul_request_duration_seconds", "ring_member_heartbeats_total", "ring_oldest_member_timestamp", "tcp_connections", "inflight_requests"},
}}

func TestMain(m *testing.M) { catalogue.Main(m, libraries) }

func TestLibraries(t *testing.T) { catalogue.Test(t, libraries) }

// service is a member of a ring of its own, has a configuration that is read while the process runs,
// lets ten queries through a gate, and answers ten requests.
func service(r prometheus.Registerer) (any, error) {
	ctx, logger := context.Background(), log.NewNopLogger()
	store, closer := consul.NewInMemoryClient(ring.GetCodec(), logger, r)
	lifecycler, err := ring.NewBasicLifecycler(
		ring.BasicLifecyclerConfig{ID: "one", Addr: "localhost", NumTokens: 8, HeartbeatPeriod: time.Minute, HeartbeatTimeout: time.Minute},
		"orders", "ring", store, ring.NewInstanceRegisterDelegate(ring.ACTIVE, 8), logger, r,
	)
	if err != nil {
		return nil, err
	}
	members, err := ring.NewWithStoreClientAndStrategy(
		ring.Config{HeartbeatTimeout: time.Minute, ReplicationFactor: 1}, "orders", "ring", store, ring.NewDefaultReplicationStrategy(), r, logger,
	)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(os.TempDir(), "mpmetrics-catalogue-runtime-config.yaml")
	if err := os.WriteFile(file, []byte("orders: 1\n"), 0o600); err != nil {
		return nil, err
	}
	settings, err := runtimeconfig.New(runtimeconfig.Config{
		ReloadPeriod: time.Minute, LoadPath: []string{file},
		Loader: func(r io.Reader) (any, error) { return io.ReadAll(r) },
	}, "orders", r, logger)
	if err != nil {
		return nil, err
	}
	for _, s := range []services.Service{lifecycler, members, settings} {
		if err := services.StartAndAwaitRunning(ctx, s); err != nil {
			return nil, err
		}
	}
	g := gate.New(r, 4)
	for range 10 {
		if err := g.Start(ctx); err != nil {
			return nil, err
		}
		g.Done()
	}
	s, err := serve(r)
	if err != nil {
		return nil, err
	}
	return []any{closer, s}, catalogue.Await(catalogue.Plain(r), map[string]float64{"ring_members": 1, "request_duration_seconds": 10})
}

// serve answers ten requests.
func serve(r prometheus.Registerer) (*server.Server, error) {
	var c server.Config
	c.RegisterFlags(flag.NewFlagSet("", flag.ContinueOnError)) // the defaults
	c.HTTPListenAddress, c.GRPCListenAddress, c.HTTPListenPort, c.GRPCListenPort = "127.0.0.1", "127.0.0.1", 0, 0
	c.HTTPConnLimit, c.GRPCConnLimit = 100, 100
	c.Registerer, c.Log, c.RegisterInstrumentation = r, log.NewNopLogger(), false
	s, err := server.New(c)
	if err != nil {
		return nil, err
	}
	s.HTTP.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	go func() { _ = s.Run() }() // ends with the process
	for range 10 {
		answer, err := http.Get("http://" + s.HTTPListenAddr().String() + "/")
		if err != nil {
			return nil, err
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return nil, errors.New(answer.Status)
		}
	}
	return s, nil
}
