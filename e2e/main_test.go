// Package e2e runs the real binaries against each other, over TLS, as a user
// would.
package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/muster-agent/muster/e2e/control"
)

// patience bounds every wait for something that should happen soon.
const patience = control.Patience

// aMoment is a person's patience (--wait) that ends in a test, and within which
// a busy machine gets its first answer.
const aMoment = "6s"

var muster, fakeserver string // the binaries

func TestMain(m *testing.M) {
	becomeAnotherHost()
	control.Lanes(lanes)
	os.Exit(build(m))
}

// binariesVariable tells a test binary that another one runs where the programs
// lie.
const binariesVariable = "MUSTER_E2E_BINARIES"

// hostVariable tells the test binary to be another program on a host of this
// name.
const hostVariable = "MUSTER_E2E_HOST"

func build(m *testing.M) int {
	exe := ""
	if runtime.GOOS == "windows" {
		exe = ".exe"
	}
	dir := os.Getenv(binariesVariable)
	muster, fakeserver = filepath.Join(dir, "muster"+exe), filepath.Join(dir, "fakeserver"+exe)
	if dir != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "muster-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // tests run the binaries as other users, too
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	out, err := exec.Command("go", "build", "-buildvcs=false", "-tags", "nethttpomithttp2", "-o", dir+string(filepath.Separator), "../cmd/muster", "../cmd/fakeserver").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "building the binaries: %v\n%s", err, out)
		return 1
	}
	muster, fakeserver = filepath.Join(dir, muster), filepath.Join(dir, fakeserver)
	return m.Run()
}

// TestThePrograms looks at what the programs are made of, so that go test does
// not take a result from its cache once that has changed: it does not see what
// TestMain builds.
func TestThePrograms(t *testing.T) {
	t.Parallel()
	for _, program := range []string{muster, fakeserver} {
		if _, err := os.Stat(program); err != nil {
			t.Error(err)
		}
	}
	for _, part := range []string{"../go.mod", "../go.sum", "../cmd", "../app", "../adapters", "../domain", "../ports", "../fakeserver"} {
		err := filepath.WalkDir(part, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
