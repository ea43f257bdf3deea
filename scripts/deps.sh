#!/usr/bin/env bash
# Gets the programs that tests run beside Go; with the argument "peers", the libraries that benchmarks compare with. What is in PATH is taken. What is missing is unpacked from its Debian
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

# What cannot be used unpacked root of a Debian gets installed: compilers and tools, which start nothing.
install() {
	[ "$(id -u)" = 0 ] && have apt-get || return
	refresh || true
	DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "$@" >/dev/null 2>&1
}

# The race detector needs a C compiler.
compiler() {
	[ "$(go env CGO_ENABLED)" = 1 ] || [ "${CGO_ENABLED-}" = 0 ] && return
	install gcc libc6-dev && return
	echo 'deps: no C compiler for the race detector; on Debian: apt-get install --no-install-recommends gcc libc6-dev' >&2
	missing=1
}

# The tests with failing system calls need strace, which needs a library of its own.
tracer() {
	[ "$(uname)" = Linux ] || return 0
	have strace || install strace && return
	echo 'deps: strace not found; on Debian: apt-get install --no-install-recommends strace' >&2
	missing=1
}

# Those on a disk of their own make it, and only as root.
disk() {
	[ "$(uname)" = Linux ] && [ "$(id -u)" = 0 ] || return 0
	have mkfs.ext4 mkfs.btrfs mkfs.xfs mount || install e2fsprogs btrfs-progs xfsprogs mount && return
	echo 'deps: mkfs.ext4, mkfs.btrfs, mkfs.xfs or mount not found; on Debian: apt-get install --no-install-recommends e2fsprogs btrfs-progs xfsprogs mount' >&2
	missing=1
}

# Those of the full screen drive a terminal of tmux's, which needs libraries of its own.
screen() {
	have tmux || install tmux && return
	echo 'deps: tmux not found; on Debian: apt-get install --no-install-recommends tmux' >&2
	missing=1
}

# The status page is looked at in a browser, which needs a hundred libraries.
browser() {
	have chromium || have google-chrome || install chromium && return
	echo 'deps: chromium not found; on Debian: apt-get install --no-install-recommends chromium' >&2
	missing=1
}

# The backend for Redis is tested with real servers. The packages need libraries of their own, and start a server
# where systemd runs: a machine that has one gets them by hand.
redis() {
	have redis-server redis-cli redis-sentinel || { [ ! -d /run/systemd/system ] && install redis-server redis-tools redis-sentinel; } && return
	echo 'deps: redis-server, redis-cli or redis-sentinel not found; on Debian: apt-get install --no-install-recommends redis-server redis-sentinel' >&2
	missing=1
}

# peers are libraries of other languages, and what runs them. What is missing is told by the report.
peers() {
	/usr/bin/python3 -c 'import prometheus_client' 2>/dev/null || install python3 python3-prometheus-client || true
	ruby -e 'require "prometheus/client"' 2>/dev/null || install ruby ruby-prometheus-client-mmap || true
	[ -d .cache/node/node_modules/prom-client ] || ! have npm ||
		npm install --silent --no-audit --no-fund --prefix .cache/node prom-client@15.1.3 >/dev/null 2>&1 || true
	have redis-server redis-cli || redis || true
}

if [ "${1-}" = peers ]; then
	peers
	exit
fi
compiler
tracer
disk
browser
screen
redis
need prometheus prometheus promtool # the tests of examples/prefork and fuzz/prometheus
exit "$missing"
