#!/bin/sh
# The tests under the race detector. Arguments go to `go test` in place of ./...
# without the end-to-end tests, whose programs it does not see, and the tools.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh
. tools/scratch.sh

# shellcheck disable=SC2046 # package paths hold no spaces
[ $# -gt 0 ] || set -- $(go list ./... | grep -Ev '/(e2e$|tools/)')
CGO_ENABLED=1 go run ./tools/gotest -vet=off -timeout=30m -race "$@"
