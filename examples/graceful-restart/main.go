//go:build unix

// Graceful is a service that is replaced while running: on SIGHUP the old process starts the new
// process, passes on the listening socket, and ends after its last answer. For a while both
// processes serve, and each scrape meets one of the two. The metrics belong to the service, not to
// a process: no counter restarts.
//
//	export MPMETRICS_DIR=/dev/shm/shop
//	go build -o shop ./examples/graceful-restart
//	./shop -listen 127.0.0.1:8080 &
//	curl http://127.0.0.1:8080/work; curl http://127.0.0.1:8080/metrics
//	go build -o shop ./examples/graceful-restart     # another version
//	kill -HUP %1                             # the new process prints its pid
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// socketEnv is set if the listening socket is open already, as the first descriptor after the
// standard descriptors.
const (
	socketEnv = "GRACEFUL_SOCKET"
	socketFD  = 3
)

var (
	requests = store.NewCounter(prometheus.CounterOpts{
		Name: "work_requests_total",
		Help: "Requests answered, by all versions that ever ran.",
	})

	// Of living processes: the gauge loses the old process when the process ends.
	serving = store.NewGauge(prometheus.GaugeOpts{
		Name: "work_processes",
		Help: "Processes that serve.",
	})
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "`address` of the service; port 0 takes a free one")
	pause := flag.Duration("pause", 20*time.Millisecond, "how long a request takes")
	flag.Parse()
	if err := serve(*listen, *pause); err != nil {
		fmt.Fprintln(os.Stderr, "graceful:", err)
		os.Exit(1)
	}
}

func serve(address string, pause time.Duration) error {
	listener, err := socket(address)
	if err != nil {
		return err
	}
	prometheus.MustRegister(collector.New(collector.Opts{}))
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.Handler())
	mux.HandleFunc("/work", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(pause)
		requests.Inc()
		fmt.Fprintln(w, os.Getpid())
	})
	var connections atomic.Int64
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			connections.Add(1)
		case http.StateClosed:
			connections.Add(-1)
		}
	}}
	serving.Set(1)
	fmt.Println(os.Getpid(), listener.Addr())

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, os.Interrupt)
	stopped := make(chan error, 1)
	go func() { stopped <- stop(<-signals, listener) }()
	if err := server.Serve(listener); !errors.Is(err, net.ErrClosed) {
		return err
	}
	if err := <-stopped; err != nil {
		return err
	}
	return drain(server, &connections)
}

// socket returns the inherited listening socket, or a new socket.
func socket(address string) (*net.TCPListener, error) {
	var listener net.Listener
	var err error
	if os.Getenv(socketEnv) == "" {
		listener, err = net.Listen("tcp", address)
	} else {
		listener, err = net.FileListener(os.NewFile(socketFD, "socket"))
	}
	if err != nil {
		return nil, err
	}
	return listener.(*net.TCPListener), nil
}

// stop starts the next version on SIGHUP, and stops accepting connections.
func stop(s os.Signal, listener *net.TCPListener) error {
	if s == syscall.SIGHUP {
		if err := replace(listener); err != nil {
			return fmt.Errorf("start the next version: %w", err)
		}
	}
	return listener.Close()
}

// drain answers the requests on open connections. Shutdown alone would cut a connection with an
// unread request. Therefore drain first waits a while for connections to end by themselves, each
// after an answer.
func drain(server *http.Server, connections *atomic.Int64) error {
	server.SetKeepAlivesEnabled(false)
	for limit := time.Now().Add(2 * time.Second); connections.Load() > 0 && time.Now().Before(limit); {
		time.Sleep(5 * time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

func replace(listener *net.TCPListener) error {
	file, err := listener.File()
	if err != nil {
		return err
	}
	defer file.Close()
	next := exec.Command(os.Args[0], os.Args[1:]...)
	next.Env = append(os.Environ(), socketEnv+"="+strconv.Itoa(socketFD))
	next.Stdout, next.Stderr, next.ExtraFiles = os.Stdout, os.Stderr, []*os.File{file}
	return next.Start()
}
