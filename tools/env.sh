# shellcheck shell=sh
# Sourced by the scripts beside it, from the top of the repository: what `go`
# needs, wherever and as whomever they run.

command -v go >/dev/null || {
	echo "Go is needed: install Go 1.26 or newer and put it on the PATH." >&2
	exit 1
}

# The version stamp is made by build.sh. Asking git at every build fails where
# the tree belongs to another user.
GOFLAGS="-buildvcs=false ${GOFLAGS-}"
export GOFLAGS

# usable says whether a directory is there, or can be made, and written.
usable() {
	case $1 in /*) mkdir -p "$1" 2>/dev/null && [ -w "$1" ] ;; *) return 1 ;; esac
}

# Without a home directory, or with one that may not be written, Go's caches
# are kept in .cache/.
if ! usable "$(go env GOCACHE 2>/dev/null)"; then
	GOCACHE=$PWD/.cache/go-build
	export GOCACHE
fi
if ! usable "$(go env GOMODCACHE 2>/dev/null)"; then
	GOMODCACHE=$PWD/.cache/go-mod
	GOFLAGS="-modcacherw $GOFLAGS"
	export GOMODCACHE
fi
