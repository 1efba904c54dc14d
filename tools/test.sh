#!/bin/sh
# Every check and every test. Arguments go to `go test` in place of ./... and
# the checks and the tests with pact are then left out.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh

# As shipped: without cgo.
CGO_ENABLED=0
export CGO_ENABLED

if [ $# -gt 0 ]; then
	echo "== go test"
	exec go run ./tools/gotest -vet=off -timeout=30m "$@"
fi

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

counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
. tools/pacts.sh
without_pact=
failed=

# First, for it writes the pact files that other tests read.
if [ -n "${MUSTER_TEST_WITHOUT_PACT-}" ]; then
	without_pact="MUSTER_TEST_WITHOUT_PACT is set"
else
	status=0
	(unset MUSTER_CONTRACT_URL && exec sh tools/pact.sh "-save=$counts") || status=$?
	case $status in
	0) ;;
	3)
		without_pact="pact cannot be had here, as said above"
		[ "${CI-}" != true ] || {
			failed=yes
			without_pact="$without_pact, which is a failure in CI unless MUSTER_TEST_WITHOUT_PACT is set"
		}
		;;
	*) failed=yes ;;
	esac
fi

echo "== go test"
# go vet has run; -vet=off spares its second run.
go run ./tools/gotest "-add=$counts" -vet=off -timeout=30m ./... || failed=yes

report_changed_pacts
[ -z "$without_pact" ] || echo "!! The contract tests with pact did NOT run: $without_pact." >&2
[ -z "$failed" ] || exit 1
