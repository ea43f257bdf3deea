//go:build linux

package componentbase

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/component-base/metrics"
	"k8s.io/component-base/metrics/legacyregistry"
	"k8s.io/component-base/metrics/prometheus/compatversion"
	"k8s.io/component-base/metrics/prometheus/controllers"
	"k8s.io/component-base/metrics/prometheus/feature"
	_ "k8s.io/component-base/metrics/prometheus/restclient"
	"k8s.io/component-base/metrics/prometheus/slis"
	_ "k8s.io/component-base/metrics/prometheus/version"
	_ "k8s.io/component-base/metrics/prometheus/workqueue"

	"github.com/mpmetrics/mpmetrics/internal/testing/catalogue"
)

var libraries = []catalogue.Library{{
	Name: "component-base", Run: component,
	Moving: []string{"workqueue_longest_*", "workqueue_unfinished_*"},
	Leave:  []string{"go_*", "process_*"},
}}

func TestMain(m *testing.M) { catalogue.Main(m, libraries) }

func TestLibraries(t *testing.T) { catalogue.Test(t, libraries) }

// component works on ten items of a queue, gets stuck with another one, and asks a server ten
// times.
func component(r prometheus.Registerer) (any, error) {
	if err := registerComponent(r); err != nil {
		return nil, err
	}
	ctx := context.Background()
	slis.Register(registry{})
	if err := slis.ObserveHealthcheck(ctx, "ping", "healthz", slis.Success); err != nil {
		return nil, err
	}
	controllers.Register()
	controllers.NewControllerManagerMetrics("shop").ControllerStarted("orders")
	feature.RecordFeatureInfo(ctx, "FastOrders", "BETA", true)
	compatversion.RecordCompatVersionInfo(ctx, "shop", "1.2", "1.2", "1.1")
	requests := metrics.NewCounter(&metrics.CounterOpts{Name: "shop_orders_total", Help: "h"})
	legacyregistry.MustRegister(requests)
	requests.Add(10)

	q := workqueue.NewTypedRateLimitingQueueWithConfig(
		workqueue.DefaultTypedControllerRateLimiter[int](), workqueue.TypedRateLimitingQueueConfig[int]{Name: "orders"},
	)
	for i := range 11 {
		q.Add(i)
	}
	for range 10 {
		i, _ := q.Get()
		q.Done(i)
	}
	_, _ = q.Get() // is never done
	return q, get(ctx)
}

// registry is the default registry, which has no value of its own type.
type registry struct{ metrics.KubeRegistry }

// Register implements metrics.KubeRegistry.
func (registry) Register(r metrics.Registerable) error { return legacyregistry.Register(r) }

// get asks a server ten times by the client of client-go.
func get(ctx context.Context) error {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	defer server.Close()
	client, err := rest.RESTClientFor(&rest.Config{
		Host: server.URL, APIPath: "/api",
		ContentConfig: rest.ContentConfig{GroupVersion: &schema.GroupVersion{Version: "v1"}, NegotiatedSerializer: serializer.NewCodecFactory(runtime.NewScheme())},
	})
	if err != nil {
		return err
	}
	for range 10 {
		if _, err := client.Get().Resource("pods").Do(ctx).Raw(); err != nil {
			return err
		}
	}
	return nil
}

func registerComponent(r prometheus.Registerer) error {
	return r.Register(legacyregistry.Registerer().(prometheus.Collector)) // k8s.io/component-base/metrics/legacyregistry
}
