#!/usr/bin/env bash
# test386.sh [FLAG]... runs the tests of the library as a 32-bit program, in their short form: words of
# 64 bits, offsets in a file and the size of a mapping are not the same there. The trials in
# internal/testing start too many processes for that, internal/house reads text alone, and the simulations of compact
# know no words and no files.
set -euo pipefail
cd "$(dirname "$0")/.."

case "$(go env GOHOSTOS)/$(go env GOHOSTARCH)" in
linux/amd64 | linux/386) ;;
*)
	echo "test386: skipped: $(go env GOHOSTOS)/$(go env GOHOSTARCH) does not run programs of linux/386"
	exit
	;;
esac
export GOARCH=386 CGO_ENABLED=0 MPMETRICS_SOAK=
packages=$(go list ./store ./collector ./compact ./fuzz ./internal/... | grep -vE '/internal/(house|testing)($|/)')
# shellcheck disable=SC2086 # one word for each package
exec go test -vet=off "$@" -short -skip='^TestSimulation' $packages
