#!/usr/bin/env bash
# Gets the programs that tests run beside Go. What is in PATH is taken. What is missing is unpacked from its Debian
# package into .cache/deb, not installed: no server starts, no root is needed, and nothing of the machine changes.
set -euo pipefail
cd "$(dirname "$0")/.."
cache=$PWD/.cache/deb
PATH=$PATH:$cache/usr/bin
missing=0

have() {
	local program
	for program; do command -v "$program" >/dev/null || return 1; done
}

# need PACKAGE PROGRAM... sees to it that the programs, which the package holds, are there.
need() {
	local package=$1
	shift
	if have "$@" || { unpack "$package" && have "$@"; }; then return; fi
	echo "deps: $* not found; on Debian: apt-get install --no-install-recommends $package" >&2
	missing=1
}

unpack() {
	have apt-get dpkg-deb || return
	local dir
	dir=$(mktemp -d)
	download "$1" "$dir" || { refresh && download "$1" "$dir"; } &&
		mkdir -p "$cache" && dpkg-deb -x "$dir"/*.deb "$cache" && echo "deps: unpacked $1 into .cache/deb"
	local status=$?
	rm -rf "$dir"
	return "$status"
}

download() { (cd "$2" && apt-get -qq download "$1" >/dev/null 2>&1); }

# refresh fetches the list of packages, which a fresh container lacks.
refresh() { [ "$(id -u)" = 0 ] && apt-get -qq update >/dev/null 2>&1; }

# The race detector needs a C compiler, which cannot be used unpacked. Root of a Debian gets it installed: it starts
# nothing.
compiler() {
	[ "$(go env CGO_ENABLED)" = 1 ] || [ "${CGO_ENABLED-}" = 0 ] && return
	if [ "$(id -u)" = 0 ] && have apt-get; then
		refresh || true
		DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends gcc libc6-dev >/dev/null 2>&1 && return
	fi
	echo 'deps: no C compiler for the race detector; on Debian: apt-get install --no-install-recommends gcc libc6-dev' >&2
	missing=1
}

compiler
need prometheus prometheus promtool # the end-to-end test of examples/prefork
exit "$missing"
