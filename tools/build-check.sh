#!/bin/sh
# Builds the programs twice and fails unless the bytes are the same: here, and
# from a copy of the tree elsewhere with an empty build cache. Fails, too, if the
# agent has grown beyond its limit.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

mkdir "$work/copy" "$work/here" "$work/there"
tar -cf - --exclude ./.git --exclude ./.cache --exclude ./dist . | tar -xf - -C "$work/copy"
VERSION=v1.2.3 sh tools/build.sh "$work/here"
VERSION=v1.2.3 GOCACHE=$work/gocache sh "$work/copy/tools/build.sh" "$work/there"
for program in "$work"/here/*; do
	name=${program##*/}
	cmp "$program" "$work/there/$name" || {
		echo "$name is not reproducible: two builds of the same tree differ." >&2
		exit 1
	}
	echo "reproducible: $name, $(wc -c <"$program" | tr -d ' ') bytes"
done
# A reflective call of a method by name (a template's, mostly) has the linker
# keep every exported method: 1.8 MB at once, unseen.
most=9600000
size=$(wc -c <"$work/here/muster" | tr -d ' ')
[ "$size" -le $most ] || {
	echo "muster has $size bytes, more than $most: find what made it grow, or raise the limit with the reason." >&2
	exit 1
}
"$work/here/muster" version | grep -F v1.2.3 >/dev/null || {
	echo "muster version does not say the version it was built with." >&2
	exit 1
}
