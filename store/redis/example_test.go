package redis_test

import (
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
	_ "github.com/mpmetrics/mpmetrics/store/redis" // for URLs of Redis
)

// location names the server and the namespace of the service. With MPMETRICS_URL set to a
// location, the zero Opts do.
const location = "redis://shop:secret@redis.internal:6379/0?namespace=shop"

// Pods without a common directory count on a server. Each pod shows the metrics of all.
func Example() {
	s, err := store.Open(store.Opts{Location: location})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close() // sends the counts since the last flush
	orders := s.NewCounter(prometheus.CounterOpts{Name: "orders_total", Help: "Orders taken."})
	http.HandleFunc("/order", func(http.ResponseWriter, *http.Request) { orders.Inc() })

	r := prometheus.NewRegistry()
	r.MustRegister(collector.New(collector.Opts{Store: s}))
	http.Handle("/metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{}))
	log.Print(http.ListenAndServe(":8080", nil))
}
