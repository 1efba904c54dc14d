#!/bin/sh
# The tests under the race detector. Arguments go to `go test` in place of
# ./...
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh

[ $# -gt 0 ] || set -- ./...
CGO_ENABLED=1 go run ./tools/gotest -vet=off -timeout=30m -race "$@"
