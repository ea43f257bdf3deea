#!/usr/bin/env bash
# prometheus/common 0.72.0: expfmt writes a family of type GAUGE_HISTOGRAM as OpenMetrics with the right type, but with
# the suffixes _count and _sum of a histogram. OpenMetrics 1.0.0 demands _gcount and _gsum. Prometheus takes the
# samples as series of other names than those from a target that follows the standard.
#
# Seen:
#   # TYPE queue gaugehistogram
#   queue_bucket{le="1.0"} 1
#   queue_bucket{le="+Inf"} 2
#   queue_sum 3.0
#   queue_count 2
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'EOF'
module finding
go 1.26.0
require (
	github.com/prometheus/client_model v0.6.3
	github.com/prometheus/common v0.72.0
)
EOF
cat >main.go <<'EOF'
package main

import (
	"os"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

func main() {
	f := &dto.MetricFamily{
		Name: new("queue"), Type: new(dto.MetricType_GAUGE_HISTOGRAM),
		Metric: []*dto.Metric{{Histogram: &dto.Histogram{
			SampleCount: new(uint64(2)), SampleSum: new(3.0),
			Bucket: []*dto.Bucket{{CumulativeCount: new(uint64(1)), UpperBound: new(1.0)}},
		}}},
	}
	if err := expfmt.NewEncoder(os.Stdout, expfmt.NewFormat(expfmt.TypeOpenMetrics)).Encode(f); err != nil {
		panic(err)
	}
}
EOF
go mod tidy >/dev/null 2>&1
seen=$(go run .)
echo "$seen"
[ "$seen" = '# TYPE queue gaugehistogram
queue_bucket{le="1.0"} 1
queue_bucket{le="+Inf"} 2
queue_sum 3.0
queue_count 2' ]
