#!/bin/sh
# build.sh [DIRECTORY]: the shipped build of both programs, into dist/ or the
# directory given. Static, stripped, and the same bytes wherever it is built;
# without HTTP/2, which no protocol here needs. GOOS and GOARCH choose another
# platform, VERSION another version than git's.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh

out=${1:-dist}
version=${VERSION-}
if [ -z "$version" ] && [ -e .git ]; then
	# An unknown version is no reason not to build: main has a default.
	version=$(git describe --tags --always --dirty 2>/dev/null) || version=
fi

mkdir -p "$out"
for program in muster fakeserver; do
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags nethttpomithttp2 \
		-ldflags "-s -w -buildid= ${version:+-X main.version=$version}" \
		-o "$out/$program$(go env GOEXE)" "./cmd/$program"
done
