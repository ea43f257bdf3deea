package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/rpc"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/collector"
)

// hosted is a plugin, kept running by the host.
type hosted struct {
	name string

	mu     sync.Mutex // one task at a time
	client *plugin.Client
	worker *rpc.Client
}

// start starts the plugin, unless it runs.
func (h *hosted) start() error {
	if h.client != nil && !h.client.Exited() {
		return nil
	}
	h.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig: handshake,
		Plugins:         plugin.PluginSet{"worker": workerPlugin{}},
		Cmd:             exec.Command(os.Args[0], "-plugin", h.name),
		Logger:          hclog.NewNullLogger(),
	})
	protocol, err := h.client.Client()
	if err != nil {
		return err
	}
	worker, err := protocol.Dispense("worker")
	if err != nil {
		return err
	}
	h.worker = worker.(*rpc.Client)
	fmt.Println(h.name, h.client.ReattachConfig().Pid)
	return nil
}

// do lets the plugin do a task. do restarts a plugin that has died.
func (h *hosted) do(seconds float64) (answer string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.start(); err != nil {
		return "", err
	}
	err = h.worker.Call("Plugin.Do", seconds, &answer)
	return answer, err
}

// host runs the plugins, and serves their work and the metrics of all plugins.
func host(ctx context.Context, address string, names ...string) error {
	defer plugin.CleanupClients()
	prometheus.MustRegister(collector.New(collector.Opts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.Handler())
	for _, name := range names {
		h := &hosted{name: name}
		if err := h.start(); err != nil {
			return fmt.Errorf("start plugin %s: %w", name, err)
		}
		mux.HandleFunc("GET /do/"+name, func(w http.ResponseWriter, r *http.Request) {
			seconds, _ := strconv.ParseFloat(r.FormValue("seconds"), 64)
			answer, err := h.do(seconds)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			fmt.Fprintln(w, answer)
		})
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Printf("http://%v\n", listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Shutdown(context.Background()) })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
