#!/bin/sh
# Every check and every test. Arguments go to `go test` in place of ./... and
# the checks and the tests with pact are then left out.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh
. tools/scratch.sh

# As shipped: without cgo, and with net/http as e2e builds the programs, so that
# it is compiled once.
CGO_ENABLED=0
export CGO_ENABLED
tags=nethttpomithttp2

if [ $# -gt 0 ]; then
	echo "== go test"
	exec go run ./tools/gotest -vet=off -timeout=30m -tags "$tags" "$@"
fi

echo "== gofmt"
unformatted=$(find . -name '*.go' ! -path './.*' -exec gofmt -l {} +)
[ -z "$unformatted" ] || {
	printf 'These files are not formatted (gofmt -w FILE mends them):\n%s\n' "$unformatted" >&2
	exit 1
}

host=$(go env GOOS)
echo "== go vet for $host"
go vet -tags "$tags" ./...

# vet TITLE NAME=VALUE vets with this in the environment.
vet() {
	echo "== go vet $1"
	nice env "$2" go vet ./... &
	vetting=$!
	wait "$vetting" || vets_failed=1
}
vet_the_others() {
	vets_failed=0
	trap 'kill "$vetting"; exit 1' TERM
	for os in linux windows darwin; do
		[ $os = "$host" ] || vet "for $os" GOOS=$os
	done
	vet "with the dev tag" "GOFLAGS=-tags=dev,$tags $GOFLAGS"
	return $vets_failed
}

counts=$(mktemp)
vets=$(mktemp)
# Beside the tests, which often wait.
vet_the_others >"$vets" 2>&1 &
others=$!
trap 'kill $others 2>/dev/null || true; rm -f "$counts" "$vets"' EXIT
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
# go vet has run; -vet=off spares its second run. Four packages at a time, for
# those that take long mostly wait; first the two that take longest.
go run ./tools/gotest "-add=$counts" -vet=off -timeout=30m -tags "$tags" -p=4 ./e2e ./app ./... || failed=yes

wait $others || failed=yes
cat "$vets"
report_changed_pacts
[ -z "$without_pact" ] || echo "!! The contract tests with pact did NOT run: $without_pact." >&2
[ -z "$failed" ] || exit 1
