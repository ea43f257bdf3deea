package collector_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mpmetrics/mpmetrics/collector"
	"github.com/mpmetrics/mpmetrics/store"
)

// A sidecar, or any of the processes themselves, answers /metrics for all that
// share the directory.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for range 3 { // as if they were three processes
		s, err := store.Open(store.Opts{Location: dir})
		if err != nil {
			fmt.Println(err)
			return
		}
		defer s.Close()
		s.NewCounter(prometheus.CounterOpts{Name: "jobs_total", Help: "Jobs done."}).Inc()
	}

	registry := prometheus.NewRegistry()
	registry.MustRegister(collector.New(collector.Opts{Location: dir}))
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	printLines("/metrics", "jobs_total")
	// Output:
	// # HELP jobs_total Jobs done.
	// # TYPE jobs_total counter
	// jobs_total 3
}

// printLines prints what the program answers, as far as it is about a family.
func printLines(path, family string) {
	w := httptest.NewRecorder()
	http.DefaultServeMux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	for _, line := range strings.Split(w.Body.String(), "\n") {
		if strings.Contains(line, family) {
			fmt.Println(line)
		}
	}
}
