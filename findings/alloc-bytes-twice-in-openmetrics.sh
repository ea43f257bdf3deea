#!/usr/bin/env bash
# client_golang 1.25.0, prometheus/common 0.72.0: the default Go collector, written as OpenMetrics 1.0.0, declares the
# family go_memstats_alloc_bytes twice, as a gauge and as a counter. The registry knows two families,
# go_memstats_alloc_bytes and go_memstats_alloc_bytes_total; OpenMetrics takes the suffix from the name of the second
# family. A parser that keeps families by name loses one of them.
#
# Seen:
#   # TYPE go_memstats_alloc_bytes gauge
#   # TYPE go_memstats_alloc_bytes counter
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'EOF'
module finding
go 1.26.0
require (
	github.com/prometheus/client_golang v1.25.0
	github.com/prometheus/common v0.72.0
)
EOF
cat >main.go <<'EOF'
package main

import (
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
)

func main() {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector())
	families, err := r.Gather()
	if err != nil {
		panic(err)
	}
	e := expfmt.NewEncoder(os.Stdout, expfmt.NewFormat(expfmt.TypeOpenMetrics))
	for _, f := range families {
		if err := e.Encode(f); err != nil {
			panic(err)
		}
	}
}
EOF
go mod tidy >/dev/null 2>&1
seen=$(go run . | grep '^# TYPE go_memstats_alloc_bytes ')
echo "$seen"
[ "$seen" = "# TYPE go_memstats_alloc_bytes gauge
# TYPE go_memstats_alloc_bytes counter" ]
