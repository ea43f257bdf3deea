#!/usr/bin/env bash
# prometheus/prometheus v0.315.1 (Prometheus 3.15): in PromQL U+FFFD cannot be written as it is. The character is valid
# UTF-8, and programs put it into labels in the place of bytes that are not UTF-8. The parser of PromQL answers "invalid
# UTF-8 rune", because it takes the value of the rune for a sign that decoding failed. The escape \ufffd is taken.
#
# Seen:
#   as it is: 1:4: parse error: invalid UTF-8 rune
#   escaped: ok
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >go.mod <<'EOF'
module finding
go 1.26.0
require github.com/prometheus/prometheus v0.315.1
EOF
cat >main.go <<'EOF'
package main

import (
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	p := parser.NewParser(parser.Options{})
	for _, c := range []struct{ how, selector string }{
		{"as it is", "{a=\"\uFFFD\"}"},
		{"escaped", `{a="\ufffd"}`},
	} {
		if _, err := p.ParseMetricSelector(c.selector); err != nil {
			fmt.Printf("%s: %v\n", c.how, err)
		} else {
			fmt.Printf("%s: ok\n", c.how)
		}
	}
}
EOF
go mod tidy >/dev/null 2>&1
seen=$(go run .)
echo "$seen"
[ "$seen" = "as it is: 1:4: parse error: invalid UTF-8 rune
escaped: ok" ]
