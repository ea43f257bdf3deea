#!/usr/bin/env bash
# go.opentelemetry.io/otel/exporters/prometheus v0.69.0: New registers the collector of the exporter, and sets a field of
# the collector after that. Collect is documented as safe to call concurrently, but a scrape of the registry while New
# runs is a data race.
#
# Seen:
#   WARNING: DATA RACE
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'EOF'
module finding
go 1.26.0
require (
	github.com/prometheus/client_golang v1.25.0
	go.opentelemetry.io/otel/exporters/prometheus v0.69.0
)
EOF
cat >main.go <<'EOF'
package main

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
)

func main() {
	for range 200 {
		r := prometheus.NewRegistry()
		done := make(chan struct{})
		var scrapes sync.WaitGroup
		scrapes.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					_, _ = r.Gather()
				}
			}
		})
		if _, err := otelprometheus.New(otelprometheus.WithRegisterer(r)); err != nil {
			panic(err)
		}
		close(done)
		scrapes.Wait()
	}
}
EOF
go mod tidy >/dev/null 2>&1
out=$(go run -race . 2>&1 || true)
seen=$(grep -m1 '^WARNING: DATA RACE' <<<"$out")
echo "$seen"
grep -q 'exporters/prometheus.New()' <<<"$out"
