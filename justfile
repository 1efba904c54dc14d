# Every recipe is one line, so that ./dev can run it where there is no just.

set positional-arguments

_list:
    @"{{ just_executable() }}" --justfile "{{ justfile() }}" --list --unsorted

# builds both programs and runs the agent through a machine's life
demo *args:
    @exec sh tools/demo.sh "$@"

# runs every test, and what must hold before one is worth running
test *args:
    @exec sh tools/test.sh "$@"

# runs the contract tests with pact, or verifies the server at MUSTER_CONTRACT_URL
pact *args:
    @exec sh tools/pact.sh "$@"

# runs the tests under the race detector (needs a C compiler)
test-race *args:
    @exec sh tools/test-race.sh "$@"

# runs the service's tests on a real systemd, in namespaces (Linux, root)
test-systemd *args:
    @exec sh tools/test-systemd.sh "$@"

# runs the tests as Windows binaries, under Wine (Linux)
test-windows *args:
    @exec sh tools/test-windows.sh "$@"

# takes the Windows installer through a machine's life, under Wine (Linux)
test-msi:
    @exec sh tools/test-msi.sh

# runs the linters
lint:
    @exec sh tools/lint.sh

# puts the shipped binaries, static and reproducible, into dist/
build *args:
    @exec sh tools/build.sh "$@"

# builds twice, in two places, and compares
build-check:
    @exec sh tools/build-check.sh

# puts the deb and the rpm, for amd64 and arm64, and the Windows installer into dist/
package *args:
    @exec sh tools/package.sh "$@"

# builds the packages twice, compares, looks into them and, as root, installs them in a copy of this system
package-check:
    @exec sh tools/package-check.sh

# measures the agent beside a floor program (Linux)
bench *args:
    @exec sh tools/bench.sh "$@"

# runs each fuzz target for a while (10s each, or as the argument says)
fuzz *args:
    @exec sh tools/fuzz.sh "$@"

# breaks the contract in many ways, one at a time, and shows that the tests notice (WORD … for some of them)
contract-mutants *args:
    @. tools/env.sh && . tools/scratch.sh && exec go run ./tools/mutants "$@"
