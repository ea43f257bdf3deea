#!/usr/bin/env bash
# test.sh [FLAG]... MODULE... tests each module's packages, with the race detector where it works.
set -uo pipefail

flags=()
while [[ ${1-} == -* ]]; do
	flags+=("$1")
	shift
done
if [ "$(go env CGO_ENABLED)" = 1 ]; then
	flags+=(-race)
else
	echo 'test: no C compiler: testing without the race detector' >&2
fi

status=0
for module; do
	(cd "$module" && go test ${flags[@]+"${flags[@]}"} ./...) || status=1
done
exit "$status"
