#!/bin/sh
# package-linux.sh [DIRECTORY]: the deb and the rpm for amd64 and arm64, into dist/
# or the directory given. The same tree gives the same bytes: all that has a
# date has that of the last commit (SOURCE_DATE_EPOCH sets another). VERSION
# sets another version than git's, GOARCH builds for one only.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh
umask 022
architectures=${GOARCH:-amd64 arm64}
unset GOARCH

# The tree may belong to another user: nothing of its git configuration is run
# by these two.
git() { command git -c safe.directory='*' "$@" 2>/dev/null; }
version=${VERSION:-$(git describe --tags --always --dirty || echo unknown)}
# Without git: a date that no checker finds implausible.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct || echo 1767225600)}
export SOURCE_DATE_EPOCH

# package_version VERSION: what dpkg and rpm sort as git means it. A tag's
# v1.2.3-rc.1 is before v1.2.3, and what comes 5 commits after a tag
# (v1.2.3-5-g1a2b3c4) is after it. A version without a tag is before all.
package_version() {
	printf '%s\n' "$1" | sed -E '
		s/^v([0-9])/\1/
		/^[0-9]+\.[0-9]+/!s/^/0.0.0~/
		s/-([0-9]+)-g([0-9a-f]+)/+\1.g\2/
		s/-dirty$/+dirty/
		s/-/~/
		s/[^0-9A-Za-z.+~]/./g'
}
PACKAGE_VERSION=$(package_version "$version")
export PACKAGE_VERSION

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

out=${1:-dist}
mkdir -p "$out" "$work/build"
out=$(cd "$out" && pwd)
CGO_ENABLED=0 go build -modfile=tools/tools.mod -o "$work/nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm
cp -R packaging LICENSE "$work/"

date() { LC_ALL=C command date -u -d "@$SOURCE_DATE_EPOCH" "$@"; }
pack() { gzip -9n >"$work/build/$1.gz"; }

# The licenses of what the program is linked from ask to go with it.
licenses() {
	root=$(go env GOROOT)
	printf '===== The Go standard library\n\n'
	cat "$root/LICENSE"
	CGO_ENABLED=0 GOOS=linux go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/muster |
		LC_ALL=C sort -u | while read -r module release dir; do
		printf '\n===== %s %s\n' "$module" "$release"
		found=
		for file in "$dir"/LICENSE* "$dir"/LICENCE* "$dir"/COPYING* "$dir"/NOTICE*; do
			[ -f "$file" ] || continue
			found=yes
			echo
			cat "$file"
		done
		[ -n "$found" ] || {
			echo "$module has no license file: it cannot be shipped." >&2
			return 1
		}
	done
}
licenses >"$work/licenses"
pack third-party-licenses <"$work/licenses"

pack changelog <<EOT
muster ($PACKAGE_VERSION-1) stable; urgency=medium

  * Version $version. What has changed is in
    https://github.com/muster-agent/muster/releases

 -- The Muster maintainers <muster-agent@users.noreply.github.com>  $(date -R)
EOT
sed "s/@DATE@/$(date +%Y-%m-%d)/; s|@VERSION@|$PACKAGE_VERSION|" packaging/files/muster.8 | pack muster.8

sh tools/build.sh "$work/native"
for shell in bash zsh fish; do
	"$work/native/muster" completion $shell >"$work/build/muster.$shell"
done

for GOARCH in $architectures; do
	export GOARCH
	GOOS=linux VERSION=$version sh tools/build.sh "$work/$GOARCH"
	cp "$work/$GOARCH/muster" "$work/build/muster"
	for packager in deb rpm; do
		(cd "$work" && ./nfpm package --config packaging/nfpm.yaml --packager $packager --target "$out/") || exit
	done
done
