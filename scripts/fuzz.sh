#!/usr/bin/env bash
# fuzz.sh TIME runs each fuzz target of the module for TIME, one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# fuzz PACKAGE TARGET TIME fails when an input is found that fails. Go says FAIL also when time is up while an input
# runs, and no more than that (golang/go#75804, until Go 1.27).
fuzz() {
	go test -run='^$' -fuzz="^$2\$" -fuzztime="$3" -fuzzminimizetime=5s "$1" 2>&1 | tee "$log" && return
	grep -qx ' *context deadline exceeded' "$log" && ! grep -qE 'Failing input|panic|_test\.go:' "$log"
}

found=0
for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		found=$((found + 1))
		echo "fuzz: $target of $package for $1"
		fuzz "$package" "$target" "$1"
	done
done
echo "fuzz: $found targets"
