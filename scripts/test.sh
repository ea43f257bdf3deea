#!/usr/bin/env bash
# test.sh [FLAG]... MODULE... tests each module's packages, with the race detector where it works. Behind those of the
# main module it says how much of each package in covered the tests reach: these read what nobody has vouched for and
# add it up, and a line that no test has seen is where a mistake stays.
set -uo pipefail

covered=(internal/reader internal/layout internal/archive compact internal/merge)
least=95 # percent of the statements of each

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

work=$(mktemp -d) || exit
trap 'rm -rf "$work"' EXIT

# coverage counts in short runs of their own, without the race detector: with it, counting makes the tests of compact
# take more than twice as long. What it prints of the tests themselves was printed before, unless they fail only now.
coverage() {
	local packages
	printf -v packages './%s,' "${covered[@]}"
	MPMETRICS_SOAK= go test -short -coverpkg="${packages%,}" -coverprofile="$work/profile" "${covered[@]/#/./}" ./fuzz >"$work/out" 2>&1 || {
		cat "$work/out"
		return 1
	}
	# A block stands in the profile once for each package that was tested.
	awk -v least="$least" -v packages="${covered[*]}" -v module="$(go list -m)/" '
		NR > 1 {
			statements[$1] = $2
			if ($3 > 0) reached[$1] = 1
		}
		END {
			for (block in statements) {
				package = substr(block, length(module) + 1)
				sub("/[^/]*$", "", package)
				all[package] += statements[block]
				if (block in reached) some[package] += statements[block]
			}
			n = split(packages, names, " ")
			for (i = 1; i <= n; i++) {
				share = all[names[i]] ? 100 * some[names[i]] / all[names[i]] : 0
				printf "coverage: %s %.1f %%\n", names[i], share
				if (share < least) low = low sprintf("coverage: %s is below %d %%\n", names[i], least)
			}
			printf "%s", low
			exit low != ""
		}' "$work/profile"
}

status=0
for module; do
	(cd "$module" && go test ${flags[@]+"${flags[@]}"} ./...) || status=1
	if [ "$module" = . ]; then
		coverage || status=1
	fi
done
exit "$status"
