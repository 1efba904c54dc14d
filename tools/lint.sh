#!/bin/sh
# The linters, at the versions of tools/tools.mod.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh

CGO_ENABLED=0
export CGO_ENABLED
failed=

# check NAME COMMAND …: a linter that prints something, or fails, has found
# something.
check() {
	name=$1
	shift
	echo "== $name"
	output=$("$@" 2>&1) && [ -z "$output" ] || {
		printf '%s\n' "$output" >&2
		failed="$failed [$name]"
	}
}

# Built first, for this machine: the linters then run for each system.
tools=$PWD/.cache/tools
go build -modfile=tools/tools.mod -o "$tools/" tool

# A switch over a closed set that packages share names every case. (A suite of
# contracttest may say "and all the others" of a sealed interface.)
shared='^github\.com/muster-agent/muster/.*\.[A-Z]'

check go.mod go mod tidy -diff
check gofumpt "$tools/gofumpt" -l .
for os in linux windows darwin; do
	check "staticcheck for $os" env GOOS=$os "$tools/staticcheck" ./...
	check "exhaustive for $os" env GOOS=$os "$tools/exhaustive" -typeonly "$shared" ./...
	packages=$(GOOS=$os go list ./... | grep -v '/contracttest$')
	# shellcheck disable=SC2086 # one argument for each package
	check "go-check-sumtype for $os" env GOOS=$os "$tools/go-check-sumtype" -default-signifies-exhaustive=false $packages
done
check "staticcheck of what only runs on a booted system" "$tools/staticcheck" -tags systemd ./systemdtest
# Code that only another system uses belongs in that system's files.
check deadcode "$tools/deadcode" -test ./...

[ -z "$failed" ] || {
	echo "lint: found something:$failed" >&2
	exit 1
}
