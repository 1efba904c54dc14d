#!/bin/sh
# pact.sh [ARGUMENT …]: the contract tests with pact; where
# MUSTER_CONTRACT_URL is set, only the verification of that server
# (docs/CONTRACT.md). Arguments go to tools/gotest, and on to `go test`.
#
# The tests are linked with libpact_ffi, which npm fetches once into .cache/,
# by the lock file in tools/pact and checked by its sha512. From then on no
# network is needed. Ends with 3 where pact cannot be had.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh
. tools/pacts.sh

unavailable() {
	echo "pact: $1" >&2
	exit 3
}

case "$(go env GOOS)-$(go env GOARCH)" in
linux-amd64) package=linux-x64-glibc library=linux-x64/libpact_ffi.so ;;
linux-arm64) package=linux-arm64-glibc library=linux-arm64/libpact_ffi.so ;;
darwin-amd64) package=darwin-x64 library=darwin-x64/libpact_ffi.dylib ;;
darwin-arm64) package=darwin-arm64 library=darwin-arm64/libpact_ffi.dylib ;;
*) unavailable "there is no libpact_ffi for $(go env GOOS)-$(go env GOARCH)" ;;
esac
compiler=$(go env CC)
command -v "${compiler%% *}" >/dev/null || unavailable "cgo needs a C compiler ($compiler), and there is none"

# Another lock file, another folder.
folder=$PWD/.cache/pact-$(cksum <tools/pact/package-lock.json | cut -d ' ' -f 1)

# fetch puts the library in place in one step, so that two calls at the same
# time do not harm each other.
fetch() {
	command -v npm >/dev/null || unavailable "libpact_ffi is fetched with npm, and there is none"
	mkdir -p "$folder"
	work=$(mktemp -d "$PWD/.cache/fetch.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	cp tools/pact/package.json tools/pact/package-lock.json "$work"
	echo "== fetching libpact_ffi"
	# npm leaves out an optional package that it cannot get, and is content.
	found=$work/node_modules/@pact-foundation/pact-core-$package/prebuilds/$library
	(cd "$work" && npm ci --cache "$work/npm" --ignore-scripts --no-audit --no-fund --no-update-notifier \
		--loglevel=error --fetch-retries=1 --fetch-timeout=60000) >"$work/log" 2>&1 && [ -f "$found" ] || {
		tail -n 5 "$work/log" >&2
		unavailable "npm could not fetch libpact_ffi"
	}
	mv -f "$found" "$folder/"
	rm -rf "$work"
}
[ -f "$folder/${library##*/}" ] || fetch

CGO_ENABLED=1
# The go command reads these quotes itself.
# shellcheck disable=SC2089
CGO_LDFLAGS="'-L$folder' '-Wl,-rpath,$folder'"
PACT_DO_NOT_TRACK=true
PACT_LOG_LEVEL=ERROR
# shellcheck disable=SC2090
export CGO_ENABLED CGO_LDFLAGS PACT_DO_NOT_TRACK PACT_LOG_LEVEL

if [ -n "${MUSTER_CONTRACT_URL-}" ]; then
	echo "== verifying the server at $MUSTER_CONTRACT_URL"
	exec go run ./tools/gotest "$@" -vet=off -count=1 -tags pact -run '^TestProvider$' ./contracttest/pact
fi

echo "== go vet with the pact tag"
go vet -tags pact ./contracttest/pact
echo "== go test with the pact tag"
status=0
# Not from go test's cache: the tests build and run programs that it does not
# know of.
go run ./tools/gotest "$@" -vet=off -count=1 -tags pact ./contracttest/pact || status=$?
report_changed_pacts
exit $status
