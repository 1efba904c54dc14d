#!/bin/sh
# Every check and every test that needs nothing but Go. Arguments go to
# `go test` in place of ./... and the checks are then left out.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh

# As shipped: without cgo.
CGO_ENABLED=0
export CGO_ENABLED

if [ $# -eq 0 ]; then
	set -- ./...

	echo "== gofmt"
	unformatted=$(find . -name '*.go' ! -path './.*' -exec gofmt -l {} +)
	[ -z "$unformatted" ] || {
		printf 'These files are not formatted (gofmt -w FILE mends them):\n%s\n' "$unformatted" >&2
		exit 1
	}

	for os in linux windows darwin; do
		echo "== go vet for $os"
		GOOS=$os go vet ./...
	done
	echo "== go vet with the dev tag"
	go vet -tags dev ./...
fi

echo "== go test"
# go vet has run; -vet=off spares its second run.
go run ./tools/gotest -vet=off "$@"
