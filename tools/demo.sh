#!/bin/sh
# Builds both programs in a temporary directory and lets the fake server tell
# a machine's life with them. Arguments go to `fakeserver demo`.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

echo "Building muster and fakeserver (the first time takes up to a minute)."
sh tools/build.sh "$work"
"$work/fakeserver" demo --muster "$work/muster" "$@"
