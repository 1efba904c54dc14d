#!/bin/sh
# Measures the shipped build beside the floor program, in one run. Arguments go
# to the driver; -h lists them.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh

[ "$(go env GOOS)" = linux ] || {
	echo "The bench reads /proc: it runs on Linux only." >&2
	exit 1
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

sh tools/build.sh
CGO_ENABLED=0
export CGO_ENABLED
go build -trimpath -tags nethttpomithttp2 -ldflags "-s -w -buildid=" -o "$work/" ./bench/floor ./bench/spawn
# The agent with its symbols, to see whose code it is made of.
go build -trimpath -tags nethttpomithttp2 -o "$work/symbols" ./cmd/muster
go build -o "$work/bench" ./bench
"$work/bench" -floor "$work/floor" -spawn "$work/spawn" -symbols "$work/symbols" "$@"
