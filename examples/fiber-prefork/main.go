// Fiber-prefork shows a Fiber service that preforks, with the usual metrics middleware.
//
// Fiber starts a child for each core. All children share one port, and the kernel chooses a child
// for each connection. The middleware, fiberprometheus, does not know about the children: the
// middleware only takes a registry.
//
//	export MPMETRICS_DIR=/dev/shm/shop
//	go run . -listen 127.0.0.1:3000 &
//	curl http://127.0.0.1:3000/books/7
//	curl http://127.0.0.1:3000/metrics    # any process answers
//
// mpmetrics changes only the first two lines of newApp.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/ansrivas/fiberprometheus/v2"
	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:3000", "`address` of the service")
	flag.Parse()
	if err := newApp().Listen(*listen); err != nil {
		fmt.Fprintln(os.Stderr, "fiber-prefork:", err)
		os.Exit(1)
	}
}

func newApp() *fiber.App {
	metrics := fiberprometheus.NewWithRegistry(store.Default().Registerer(), "shop", "http", "", nil)
	prometheus.MustRegister(collector.New(collector.Opts{}))

	app := fiber.New(fiber.Config{Prefork: true, DisableStartupMessage: true})
	app.Hooks().OnFork(func(pid int) error {
		fmt.Println(pid)
		return nil
	})
	app.Get("/metrics", adaptor.HTTPHandler(promhttp.Handler()))
	app.Use(metrics.Middleware)
	app.Get("/books/:id", func(c *fiber.Ctx) error {
		if c.Params("id") == "0" {
			return fiber.ErrNotFound
		}
		return c.SendString(fmt.Sprintln("book", c.Params("id"), "from", os.Getpid()))
	})
	return app
}
