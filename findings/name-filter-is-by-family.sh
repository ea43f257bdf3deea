#!/usr/bin/env bash
# client_golang 1.25.0: promhttp filters by name[] with the names of families, and with nothing else. The name of a
# series, such as the _count of a histogram, and an unknown name are answered with status 200 and an empty body, so a
# scrape with a wrong filter is a successful scrape without samples. Federation of Prometheus, where match[] comes
# from, selects by the names of series.
#
# Seen:
#   took_seconds: 200, 1 line of _count
#   took_seconds_count: 200, 0 bytes
#   unknown: 200, 0 bytes
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'EOF'
module finding
go 1.26.0
require github.com/prometheus/client_golang v1.25.0
EOF
cat >main.go <<'EOF'
package main

import (
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func get(h *httptest.ResponseRecorder, r prometheus.Gatherer, name string) (int, string) {
	promhttp.HandlerFor(r, promhttp.HandlerOpts{}).ServeHTTP(h, httptest.NewRequest("GET", "/metrics?name[]="+name, nil))
	return h.Code, h.Body.String()
}

func main() {
	r := prometheus.NewRegistry()
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "took_seconds", Help: "h"})
	h.Observe(1)
	r.MustRegister(h)
	status, body := get(httptest.NewRecorder(), r, "took_seconds")
	fmt.Printf("took_seconds: %d, %d line of _count\n", status, strings.Count(body, "\ntook_seconds_count "))
	for _, name := range []string{"took_seconds_count", "unknown"} {
		status, body := get(httptest.NewRecorder(), r, name)
		fmt.Printf("%s: %d, %d bytes\n", name, status, len(body))
	}
}
EOF
go mod tidy >/dev/null 2>&1
seen=$(go run .)
echo "$seen"
[ "$seen" = "took_seconds: 200, 1 line of _count
took_seconds_count: 200, 0 bytes
unknown: 200, 0 bytes" ]
