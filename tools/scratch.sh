# shellcheck shell=sh
# Sourced by the scripts that run tests: where Linux has room in memory, the
# tests' files lie there. They are small and many, each is synced to the disk as
# an agent's must be, and most of what the tests cost was that. What go builds
# stays where it is.

if [ -z "${TMPDIR-}" ] && [ "$(uname -s)" = Linux ] &&
	[ "$(df -Pk /dev/shm 2>/dev/null | awk 'END { print $4 + 0 }')" -ge 524288 ]; then
	probe=$(mktemp /dev/shm/muster-probe.XXXXXX) && printf '#!/bin/sh\n' >"$probe" && chmod +x "$probe" && "$probe" 2>/dev/null && {
		: "${GOTMPDIR:=/tmp}"
		TMPDIR=/dev/shm
		export GOTMPDIR TMPDIR
	}
	rm -f "${probe-}"
fi
