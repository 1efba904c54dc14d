#!/bin/sh
# Builds the Windows installer in two versions and takes it through a machine's
# life under Wine: installed, stopped and started, upgraded, removed.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh
. tools/wine/env.sh

MUSTER_WINE=$wine
for version in v0.0.1 v0.0.2; do
	VERSION=$version sh tools/package-windows.sh "$work"
done
MUSTER_MSI=$work/muster-v0.0.1-windows-amd64.msi
MUSTER_MSI_NEXT=$work/muster-v0.0.2-windows-amd64.msi
export MUSTER_WINE MUSTER_MSI MUSTER_MSI_NEXT

echo "== the installer, under $("$wine" --version)"
CGO_ENABLED=0 "$work/gotest" -vet=off -tags wine -count=1 -run '^TestTheInstaller' ./e2e
