#!/bin/sh
# The tests of the installed service, each on a machine of its own: namespaces
# of this one, booted with a real systemd as PID 1. Needs root. Arguments go to
# `go test` (-run NAME, -v, -parallel N).
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh

cannot() {
	echo "The tests on a real systemd did not run: $*" >&2
	[ "${CI-}" != true ] || exit 1
	exit 0
}
[ "$(uname -s)" = Linux ] || cannot "they need Linux."
[ "$(id -u)" = 0 ] || cannot "only root can give a machine its namespaces."
[ -x /lib/systemd/systemd ] || cannot "systemd is needed (apt-get install systemd); it need not be running."
for tool in systemd-analyze journalctl dpkg dpkg-deb useradd ip mount; do
	command -v $tool >/dev/null || cannot "$tool is needed (apt-get install systemd dpkg passwd iproute2 mount)."
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# What is installed is the package, and the one after it.
mkdir "$work/packages" "$work/programs"
VERSION=v1.0.0 sh tools/package-linux.sh "$work/packages"
mv "$work"/packages/*_"$(dpkg --print-architecture)".deb "$work/programs/muster.deb"
dpkg-deb -R "$work/programs/muster.deb" "$work/next"
sed -i 's/^Version: .*/&.next/' "$work/next/DEBIAN/control"
dpkg-deb --root-owner-group -b "$work/next" "$work/programs/muster-next.deb" >/dev/null
sh tools/build.sh "$work/programs"

CGO_ENABLED=0
MUSTER_SYSTEMDTEST_PROGRAMS=$work/programs
export CGO_ENABLED MUSTER_SYSTEMDTEST_PROGRAMS
go vet -tags systemd ./systemdtest
go run ./tools/gotest -vet=off -timeout=30m -count=1 -tags systemd "$@" ./systemdtest
