#!/bin/sh
# Runs the tests as Windows binaries under Wine. Arguments go to `go test` in
# place of ./... without the tools.
#
# Without arguments it runs all packages, but for the few end-to-end tests of
# tools/left-out-windows.txt.
# A skipped test fails, unless tools/allowed-skips-windows.txt names it with a
# reason.
set -eu
CDPATH='' cd "$(dirname -- "$0")/.."
. tools/env.sh
. tools/wine/env.sh

overlay=$("$work/wine" overlay "$work")
GOFLAGS="-overlay=$overlay $GOFLAGS"
GOOS=windows GOARCH=amd64 CGO_ENABLED=0 CI=true
export GOFLAGS GOOS GOARCH CGO_ENABLED CI

if [ $# -eq 0 ]; then
	# What is in tools runs on the developer's machine only.
	# shellcheck disable=SC2046 # package paths hold no spaces
	set -- $(go list ./... | grep -v /tools/)

	left_out=$(sed -n '/^Test/s/:.*//p' tools/left-out-windows.txt)
	printf 'left out, for the reasons in tools/left-out-windows.txt:\n%s\n' "$left_out"
	set -- "-skip=^($(printf %s "$left_out" | tr '\n' '|'))\$" "$@"

	for tags in windows_real dev; do
		go vet -tags "$tags" ./...
	done
fi

# The end-to-end tests find their programs ready: there is no go under Wine.
mkdir "$work/programs"
sh tools/build.sh "$work/programs"
MUSTER_E2E_BINARIES="Z:$work/programs"
export MUSTER_E2E_BINARIES

# Wine is kept up by a program that waits: its service manager belongs to who
# starts it, and would hold the output of the first test open, on which go test
# then waits.
mkfifo "$work/sitter"
"$wine" cmd <"$work/sitter" >/dev/null 2>&1 &
exec 9>"$work/sitter"
"$wine" wineboot >/dev/null 2>&1 </dev/null

# A test has ended when its program has, though Wine's console of a program that
# the test killed may still hold the output open.
cat >"$work/exec" <<'END'
#!/bin/sh
"$TEST_WINE" "$@" >"$0.$$" 2>&1 </dev/null
status=$?
cat "$0.$$"
rm "$0.$$"
exit $status
END
chmod +x "$work/exec"
TEST_WINE=$wine
export TEST_WINE

echo "== go test for Windows, under $("$wine" --version)"
# One package at a time: Wine's server, of which there is one, is what they would
# all wait for, and loses an event now and then when it has too much to do. So
# does it otherwise: what fails is run again, and what passes only then is said.
"$work/gotest" -skips tools/allowed-skips-windows.txt -again -vet=off -p=1 "-exec='$work/exec'" "$@"
