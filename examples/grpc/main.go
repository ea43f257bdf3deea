// Grpc shows gRPC servers with the usual middleware: several processes count as one.
//
//	export MPMETRICS_DIR=/dev/shm/shop
//	go run . -listen 127.0.0.1:5001 -metrics 127.0.0.1:9001 &
//	go run . -listen 127.0.0.1:5002 -metrics 127.0.0.1:9002 &
//	go run . -call 127.0.0.1:5001
//	curl http://127.0.0.1:9002/metrics    # any process answers for all
//
// The middleware's collector is registered with the store's Registerer instead of with a registry.
// The service is gRPC's own health service, so that no code has to be generated.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:5001", "`address` of the service")
	metrics := flag.String("metrics", "127.0.0.1:9001", "`address` of /metrics")
	server := flag.String("call", "", "call the server at this `address` once, and end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	run := func() error { return serve(ctx, *listen, *metrics) }
	if *server != "" {
		run = func() error { return call(ctx, *server, "") }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "grpc:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, address, metricsAddress string) error {
	middleware := grpcprom.NewServerMetrics(grpcprom.WithServerHandlingTimeHistogram())
	store.Default().Registerer().MustRegister(middleware)
	prometheus.MustRegister(collector.New(collector.Opts{}))

	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(middleware.UnaryServerInterceptor()),
		grpc.ChainStreamInterceptor(middleware.StreamServerInterceptor()),
	)
	healthpb.RegisterHealthServer(server, health.NewServer())
	middleware.InitializeMetrics(server)

	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	web, err := net.Listen("tcp", metricsAddress)
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr(), web.Addr())
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.Handler())
	scraped := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() {
		server.GracefulStop()
		_ = scraped.Shutdown(context.Background())
	})
	go func() { _ = server.Serve(listener) }()
	if err := scraped.Serve(web); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// call asks a server for the health of a service.
func call(ctx context.Context, server, service string) error {
	connection, err := grpc.NewClient(server, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = healthpb.NewHealthClient(connection).Check(ctx, &healthpb.HealthCheckRequest{Service: service})
	return err
}
