#!/usr/bin/env bash
# test.sh [FLAG]... MODULE... tests the packages of each module, with the race detector where it works. After the main
# module:
#   - 386: the tests of the library as a 32-bit program (test386.sh).
#   - coverage: how much of each package in covered the tests of that run reach. These packages read files of foreign
#     processes and add them up; a line without a test is where a mistake stays.
# After all modules:
#   - in full: the tests that try few inputs with the race detector run once more without it (internal/testing/effort).
#   - each benchmark runs once.
# Then the script says how long each part took. The last lines are the summary of go test for the benchmarks: a reader
# of the output looks for such lines.
#
# Some tests wait most of the time, for processes and servers: go test has more packages in work than there are
# processors, and begins with the packages that take the longest. make lint has vetted all packages already.
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

# The tests of the main module collect garbage a quarter as often as usual: the simulations take a tenth less with the race
# detector, and a third less without it. A test that looks at memory collects for itself. Other modules have golden files
# with the setting.
gogc=${GOGC-400}

processors=$(getconf _NPROCESSORS_ONLN)
work=$(mktemp -d) || exit
trap 'rm -rf "$work"' EXIT

# short_runs runs the tests of the library as a 32-bit program, in their short form and without the race detector: with
# the race detector, counting makes the tests of compact take more than twice as long. Where such a program does not run,
# the tests of the covered packages run as any other program.
short_runs() {
	local -x GOGC=$gogc
	local packages
	printf -v packages './%s,' "${covered[@]}"
	local counted=("-coverpkg=${packages%,}" "-coverprofile=$work/profile")
	./scripts/test386.sh "${counted[@]}" | sed 's/[[:blank:]]*coverage: .* of statements in .*//'
	[ "${PIPESTATUS[0]}" = 0 ] || return 1
	[ -e "$work/profile" ] || MPMETRICS_SOAK= go test -vet=off -short "${counted[@]}" "${covered[@]/#/./}" ./fuzz
}

# coverage looks into the profile of short_runs.
coverage() {
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

# test_files prints the test files of the module in the working directory.
test_files() {
	go list -f '{{range .TestGoFiles}}{{$.Dir}}/{{.}}
{{end}}{{range .XTestGoFiles}}{{$.Dir}}/{{.}}
{{end}}' ./... | sed '/^$/d'
}

# in_full runs the tests that call effort.Few or effort.Rounds without the race detector. A soak runs them in full anyway.
in_full() {
	local failed=0 module found
	for module; do
		# The names of the tests on the first line, the packages on the second.
		found=$(cd "$module" && test_files | xargs -r awk '
			/^func / { test = $2; sub(/\(.*/, "", test) }
			/effort\.(Few|Rounds)\(/ {
				package = FILENAME
				sub("/[^/]*$", "", package)
				tests[test]
				packages[package]
			}
			END {
				for (t in tests) { printf "%s%s", or, t; or = "|" }
				print ""
				for (p in packages) printf "%s ", p
			}')
		[ -n "$found" ] || continue
		# shellcheck disable=SC2086 # one word for each package
		([ "$module" != . ] || export GOGC="$gogc"; cd "$module" && go test -vet=off -p="$((processors * 2))" -timeout=30m -run="^(${found%%$'\n'*})\$" ${found#*$'\n'}) || failed=1
	done
	return "$failed"
}

# benchmarks runs each benchmark once, without the race detector, so that all of them keep working; TestBenchmarksRun
# runs those of the module bench. The lines of the benchmarks say nothing after one round, and are shown only when one
# fails.
benchmarks() {
	local failed=0 module packages
	: >"$work/benchmarks"
	for module; do
		[ "$module" != ./bench ] || continue
		packages=$(cd "$module" && test_files | xargs -r grep -l '^func Benchmark' | xargs -r -n1 dirname | sort -u)
		[ -n "$packages" ] || continue
		# shellcheck disable=SC2086 # one word for each package
		(cd "$module" && MPMETRICS_SOAK= go test -vet=off -short -timeout=10m -run='^$' -bench=. -benchtime=1x $packages) \
			>>"$work/benchmarks" 2>&1 || failed=1
	done
	return "$failed"
}

# timed NAME COMMAND... runs the command, and keeps how long it took for the end.
timed() {
	local name=$1 begin=$SECONDS failed=0
	shift
	"$@" || failed=1
	times+=("$(printf 'time: %4d s %s' "$((SECONDS - begin))" "$name")")
	return "$failed"
}

module() {
	local first=()
	if [ "$1" = . ]; then
		first=(./internal/testing/trial)
		local -x GOGC=$gogc
	fi
	(cd "$1" && go test -vet=off -p="$((processors + 1))" ${flags[@]+"${flags[@]}"} ${first[@]+"${first[@]}"} ./...)
}

status=0
times=()
for module; do
	timed "$module" module "$module" || status=1
	if [ "$module" = . ]; then
		{ timed 386 short_runs && coverage; } || status=1
	fi
done
if [ -z "${MPMETRICS_SOAK-}" ] && [[ " ${flags[*]-} " == *' -race '* ]]; then
	timed 'in full' in_full "$@" || status=1
fi
shown='^(ok|FAIL|---)'
timed benchmarks benchmarks "$@" || { status=1 shown=; }
printf '%s\n' "${times[@]}"
grep -E "$shown" "$work/benchmarks"
exit "$status"
