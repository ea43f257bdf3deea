//go:build linux

package catalogue

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/ansrivas/fiberprometheus/v2"
	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"
	grpcprometheus "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/labstack/echo-contrib/echoprometheus"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	slok "github.com/slok/go-http-metrics/metrics/prometheus"
	"github.com/slok/go-http-metrics/middleware"
	"github.com/slok/go-http-metrics/middleware/std"
	ginprometheus "github.com/zsais/go-gin-prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/mpmetrics/mpmetrics/internal/testing/catalogue"
)

// Each library answers ten requests.
var frameworks = []catalogue.Library{
	{Name: "fiberprometheus", Run: fiberApp},
	{Name: "echoprometheus", Run: echoApp},
	{Name: "go-gin-prometheus", Run: ginApp},
	{Name: "go-http-metrics", Run: slokApp},
	{Name: "go-grpc-middleware", Run: grpcServer},
}

func fiberApp(r prometheus.Registerer) (any, error) {
	app := fiber.New()
	metrics := fiberprometheus.NewWithRegistry(r, "shop", "http", "", nil)
	app.Use(metrics.Middleware)
	app.Get("/", func(c *fiber.Ctx) error { return c.SendString("hello") })
	for range 10 {
		answer, err := app.Test(httptest.NewRequest(http.MethodGet, "/", nil))
		if err != nil {
			return nil, err
		}
		answer.Body.Close()
	}
	return app, nil
}

func echoApp(r prometheus.Registerer) (any, error) {
	e := echo.New()
	e.Use(echoprometheus.NewMiddlewareWithConfig(echoprometheus.MiddlewareConfig{Registerer: r}))
	e.GET("/", func(c echo.Context) error { return c.String(http.StatusOK, "hello") })
	answerTen(e)
	return e, nil
}

// ginApp is bound to the default registry.
func ginApp(r prometheus.Registerer) (any, error) {
	prometheus.DefaultRegisterer = r
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	e.Use(ginprometheus.NewPrometheus("gin").HandlerFunc())
	e.GET("/", func(c *gin.Context) { c.String(http.StatusOK, "hello") })
	answerTen(e)
	return e, nil
}

func slokApp(r prometheus.Registerer) (any, error) {
	m := middleware.New(middleware.Config{Recorder: slok.NewRecorder(slok.Config{Registry: r})})
	answerTen(std.Handler("", m, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })))
	return m, nil
}

func answerTen(h http.Handler) {
	for range 10 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	}
}

// grpcServer answers ten calls, with all metrics of the server and of the client.
func grpcServer(r prometheus.Registerer) (any, error) {
	server := grpcprometheus.NewServerMetrics(grpcprometheus.WithServerHandlingTimeHistogram())
	client := grpcprometheus.NewClientMetrics(
		grpcprometheus.WithClientHandlingTimeHistogram(), grpcprometheus.WithClientStreamSendHistogram(), grpcprometheus.WithClientStreamRecvHistogram(),
	)
	for _, c := range []prometheus.Collector{server, client} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	s := grpc.NewServer(grpc.ChainUnaryInterceptor(server.UnaryServerInterceptor()), grpc.ChainStreamInterceptor(server.StreamServerInterceptor()))
	grpc_health_v1.RegisterHealthServer(s, health.NewServer())
	server.InitializeMetrics(s)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() { _ = s.Serve(l) }() // ends with the process
	conn, err := grpc.NewClient(
		l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithChainUnaryInterceptor(client.UnaryClientInterceptor()), grpc.WithChainStreamInterceptor(client.StreamClientInterceptor()),
	)
	if err != nil {
		return nil, err
	}
	for range 10 {
		if _, err := grpc_health_v1.NewHealthClient(conn).Check(context.Background(), &grpc_health_v1.HealthCheckRequest{}); err != nil {
			return nil, err
		}
	}
	return conn, conn.Close()
}
