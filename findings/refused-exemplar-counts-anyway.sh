#!/usr/bin/env bash
# client_golang 1.25.0: AddWithExemplar and ObserveWithExemplar panic for exemplar labels of more than 128 runes, after
# they have counted. A caller that recovers and counts again by Add counts twice.
#
# Seen:
#   counter: panicked, value 1
#   histogram: panicked, count 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'EOF'
module finding
go 1.26.0
require (
	github.com/prometheus/client_golang v1.25.0
	github.com/prometheus/client_model v0.6.3
)
EOF
cat >main.go <<'EOF'
package main

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

func panics(f func()) (what string) {
	what = "returned"
	defer func() {
		if recover() != nil {
			what = "panicked"
		}
	}()
	f()
	return what
}

func main() {
	long := prometheus.Labels{"trace_id": strings.Repeat("x", 121)} // 129 runes with the name
	var m dto.Metric

	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "c_total", Help: "h"})
	what := panics(func() { c.(prometheus.ExemplarAdder).AddWithExemplar(1, long) })
	if err := c.Write(&m); err != nil {
		panic(err)
	}
	fmt.Printf("counter: %s, value %v\n", what, m.GetCounter().GetValue())

	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h"})
	what = panics(func() { h.(prometheus.ExemplarObserver).ObserveWithExemplar(1, long) })
	if err := h.Write(&m); err != nil {
		panic(err)
	}
	fmt.Printf("histogram: %s, count %v\n", what, m.GetHistogram().GetSampleCount())
}
EOF
go mod tidy >/dev/null 2>&1
seen=$(go run .)
echo "$seen"
[ "$seen" = "counter: panicked, value 1
histogram: panicked, count 1" ]
