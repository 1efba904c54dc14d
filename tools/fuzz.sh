#!/bin/sh
# fuzz.sh [DURATION]: runs each fuzz target of the module for DURATION (10s
# unless given). An input that breaks one is kept in its package's testdata.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh

time=${1:-10s}
CGO_ENABLED=0
export CGO_ENABLED

targets=$(go test -vet=off -list '^Fuzz' ./... | awk '
	/^Fuzz/     { names[n++] = $1 }
	$1 == "ok"  { for (i = 0; i < n; i++) print $2 ":" names[i]; n = 0 }')
[ -n "$targets" ] || {
	echo "There is no fuzz target in the module." >&2
	exit 1
}
count=0
for target in $targets; do
	echo "== ${target#*:} for $time (${target%:*})"
	go test -vet=off -run '^$' -fuzz "^${target#*:}\$" -fuzztime "$time" "${target%:*}"
	count=$((count + 1))
done
echo "$count fuzz targets, none broken"
