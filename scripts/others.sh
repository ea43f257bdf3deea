#!/usr/bin/env bash
# others.sh [FLAG]... runs the tests of other projects with mpmetrics in the place of client_golang: see scripts/others.
set -euo pipefail
cd "$(dirname "$0")/.."
exec go run ./scripts/others "$@"
