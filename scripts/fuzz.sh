#!/usr/bin/env bash
# fuzz.sh TIME runs each fuzz target of the module for TIME, one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."

found=0
for package in $(go list ./...); do
	for target in $(go test -list '^Fuzz' "$package" | grep '^Fuzz' || true); do
		found=$((found + 1))
		echo "fuzz: $target of $package for $1"
		go test -run='^$' -fuzz="^$target\$" -fuzztime="$1" -fuzzminimizetime=5s "$package"
	done
done
echo "fuzz: $found targets"
