//go:build linux && soak

package controllerruntime

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/mpmetrics/mpmetrics/internal/testing/catalogue"
)

var libraries = []catalogue.Library{{
	Name: "controller-runtime", Run: operator,
	Moving: []string{"workqueue_longest_*", "workqueue_unfinished_*"},
	Leave:  []string{"go_*", "process_*"},
}}

func TestMain(m *testing.M) { catalogue.Main(m, libraries) }

func TestLibraries(t *testing.T) { catalogue.Test(t, libraries) }

// operator reconciles ten objects, gets stuck with another one, and answers one admission request.
func operator(r prometheus.Registerer) (any, error) {
	log.SetLogger(logr.Discard())
	if err := registerController(r); err != nil {
		return nil, err
	}
	metrics.RegisterRESTClientMetrics(
		metrics.MetricRequestLatency, metrics.MetricDNSResolutionLatency, metrics.MetricRequestSize,
		metrics.MetricResponseSize, metrics.MetricRateLimiterLatency, metrics.MetricRequestRetry,
	)
	_, _ = certwatcher.New("missing.crt", "missing.key") // counts the error
	if err := admit(); err != nil {
		return nil, err
	}
	if err := get(); err != nil {
		return nil, err
	}
	stuck := make(chan struct{})
	c, err := controller.NewUnmanaged("orders", controller.Options{
		MaxConcurrentReconciles: 2,
		Reconciler: reconcile.Func(func(_ context.Context, r reconcile.Request) (reconcile.Result, error) {
			if r.Name == "stuck" {
				close(stuck)
				select {}
			}
			return reconcile.Result{}, nil
		}),
	})
	if err != nil {
		return nil, err
	}
	err = c.Watch(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: "stuck"}})
		for i := range 10 {
			q.Add(reconcile.Request{NamespacedName: types.NamespacedName{Name: fmt.Sprint(i)}})
		}
		return nil
	}))
	if err != nil {
		return nil, err
	}
	go func() { _ = c.Start(context.Background()) }() // ends with the process
	<-stuck
	return c, catalogue.Await(metrics.Registry, map[string]float64{
		"controller_runtime_reconcile_total": 10, "workqueue_work_duration_seconds": 10, "workqueue_queue_duration_seconds": 11,
		"controller_runtime_active_workers": 1, "workqueue_depth": 0,
	})
}

func admit() error {
	hook := &admission.Webhook{Handler: admission.HandlerFunc(func(context.Context, admission.Request) admission.Response { return admission.Allowed("") })}
	h, err := admission.StandaloneWebhook(hook, admission.StandaloneOptions{MetricsPath: "/orders"})
	if err != nil {
		return err
	}
	r := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader(`{"request": {"uid": "1"}}`))
	r.Header.Set("Content-Type", "application/json")
	h.ServeHTTP(httptest.NewRecorder(), r)
	return nil
}

// get asks a server ten times by the client of client-go.
func get() error {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	defer server.Close()
	client, err := rest.RESTClientFor(&rest.Config{
		Host: server.URL, APIPath: "/api",
		ContentConfig: rest.ContentConfig{GroupVersion: &schema.GroupVersion{Version: "v1"}, NegotiatedSerializer: scheme.Codecs},
	})
	if err != nil {
		return err
	}
	for range 10 {
		if _, err := client.Get().Resource("pods").Do(context.Background()).Raw(); err != nil {
			return err
		}
	}
	return nil
}

func registerController(r prometheus.Registerer) error {
	return r.Register(metrics.Registry.(prometheus.Collector)) // sigs.k8s.io/controller-runtime/pkg/metrics
}
