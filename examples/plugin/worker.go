package main

import (
	"errors"
	"net/rpc"

	"github.com/hashicorp/go-plugin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mpmetrics/mpmetrics/store"
)

// handshake proves to a plugin that the host has started the plugin, not a user.
var handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "IMAGES_PLUGIN", MagicCookieValue: "images"}

// Worker is the work of a plugin, in the form of net/rpc.
type Worker struct {
	done    *prometheus.CounterVec
	seconds prometheus.Histogram
}

// newWorker makes the metrics of a plugin. All plugins have the same families; the const label
// tells the plugins apart.
func newWorker(name string) *Worker {
	label := prometheus.Labels{"plugin": name}
	store.NewGauge(prometheus.GaugeOpts{Name: "image_plugins", Help: "Plugins that run.", ConstLabels: label}).Set(1)
	return &Worker{
		done: store.NewCounterVec(prometheus.CounterOpts{
			Name: "image_tasks_total", Help: "Tasks done, by all plugins that ever ran.", ConstLabels: label,
		}, []string{"result"}),
		seconds: store.NewHistogram(prometheus.HistogramOpts{
			Name: "image_task_seconds", Help: "Time of a task.", ConstLabels: label, Buckets: []float64{0.1, 1, 10},
		}),
	}
}

// Do does a task: Do pretends to take a number of seconds.
func (w *Worker) Do(seconds float64, answer *string) error {
	if seconds < 0 {
		w.done.WithLabelValues("failure").Inc()
		return errors.New("no task takes less than no time")
	}
	w.seconds.Observe(seconds)
	w.done.WithLabelValues("success").Inc()
	*answer = "done"
	return nil
}

// workerPlugin is a Worker for go-plugin: served in the plugin, called in the host.
type workerPlugin struct{ worker *Worker }

// Server implements plugin.Plugin.
func (p workerPlugin) Server(*plugin.MuxBroker) (any, error) { return p.worker, nil }

// Client implements plugin.Plugin.
func (workerPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) { return c, nil }

// bePlugin serves until the host ends it.
func bePlugin(name string) {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         plugin.PluginSet{"worker": workerPlugin{newWorker(name)}},
	})
}
