# shellcheck shell=sh
# Sourced from the top of the repository, after tools/env.sh: a fresh Windows
# in $work, which is removed, with all that runs in it, when the script ends.
#
#	$wine PROGRAM ARGUMENT …    runs a Windows program in it

[ "$(uname -s)" = Linux ] || {
	echo "The Windows tests run the programs under Wine, on Linux. On Windows: go test ./..." >&2
	exit 1
}
wine=
for candidate in /usr/lib/wine/wine64 /usr/lib/x86_64-linux-gnu/wine/wine64; do
	[ ! -x "$candidate" ] || wine=$candidate
done
[ -n "$wine" ] || wine=$(command -v wine64 || command -v wine) || {
	echo "Wine is needed: apt-get install --no-install-recommends wine wine64" >&2
	exit 1
}
wineserver=
for candidate in "${wine%/*}/wineserver64" "${wine%/*}/wineserver"; do
	[ -n "$wineserver" ] || [ ! -x "$candidate" ] || wineserver=$candidate
done
[ -n "$wineserver" ] || wineserver=$(command -v wineserver) || {
	echo "wineserver is not where Wine is ($wine): is Wine installed in full?" >&2
	exit 1
}

WINEDEBUG=${WINEDEBUG--all}
WINEDLLOVERRIDES='mscoree,mshtml=' # neither .NET nor a browser
# Go stops a thread to look at its goroutine; Wine is not always up to that:
# once in many runs a process stands still, all of its threads waiting.
GODEBUG=asyncpreemptoff=1
export WINEDEBUG WINEDLLOVERRIDES GODEBUG
unset DISPLAY WAYLAND_DISPLAY

# What takes long to make is kept: here, or where this user may write.
cache=$PWD/.cache/wine
kept=yes
usable "$cache" || {
	cache=$(mktemp -d)
	kept=
}
work=$(mktemp -d "$cache/run.XXXXXX")
WINEPREFIX=$work/prefix
export WINEPREFIX

leave() {
	status=$?
	trap '' HUP INT TERM
	[ ! -d "$WINEPREFIX" ] || "$wineserver" -k || true # it may have ended already
	[ ! -d "$WINEPREFIX" ] || "$wineserver" -w
	rm -rf "$work"
	[ -n "$kept" ] || rm -rf "$cache"
	exit "$status"
}
trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The tools run on this machine, whatever the tests are built for.
GOOS='' GOARCH='' go build -o "$work/" ./tools/wine ./tools/gotest

# A Windows installed once, by this Wine; each run has a copy of its own, so
# that neither what one leaves behind nor another one beside it matters.
installed=$cache/$("$wine" --version | tr -cd 'A-Za-z0-9.-')-$(cat tools/wine/env.sh tools/wine/stub.go | cksum | cut -d ' ' -f 1)
if ! [ -d "$installed" ]; then
	echo "== Wine makes a Windows (once)"
	# Wine 8 takes another folder for a service's ProgramData.
	"$wine" wineboot --init 2>"$work/log" && "$wine" winecfg -v win10 2>>"$work/log" &&
		"$wine" reg add 'HKCU\Environment' /v ProgramData /d 'C:\ProgramData' /f >>"$work/log" 2>&1 && "$wineserver" -w &&
		"$work/wine" stub "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" || {
		cat "$work/log" >&2
		echo "Wine could not make a Windows in $WINEPREFIX." >&2
		exit 1
	}
	rm -rf "$cache"/wine-* # an older one's
	mv "$WINEPREFIX" "$work/installed"
	mv -T "$work/installed" "$installed" 2>/dev/null || [ -d "$installed" ] # another run was faster
fi
# Its programs and libraries, which nobody writes, are not copied but linked.
mkdir "$WINEPREFIX"
(cd "$installed" && cp -a -- *.reg .update-timestamp dosdevices "$WINEPREFIX/" && cp -al drive_c "$WINEPREFIX/")
# Up before its programs, which would else race to start it, until the end.
"$wineserver" -p >/dev/null 2>&1
