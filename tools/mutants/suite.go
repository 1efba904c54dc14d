package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// module is left out of the names of packages.
const module = "github.com/muster-agent/muster/"

// testsWithin is how long the tests of one mutant may take: the slowest take
// some seconds, and a mutant that hangs has to end.
const testsWithin = 3 * time.Minute

// suite is a part of the harness.
type suite struct {
	packages []string // as go test takes them
	run      string   // of their tests; empty for all
	pact     bool     // with the pact tag, and linked with libpact_ffi
}

func tests(run string, packages ...string) suite { return suite{packages: packages, run: run} }

func pact(run string) suite {
	return suite{packages: []string{"./contracttest/pact"}, run: run, pact: true}
}

func (s suite) equal(other suite) bool {
	return s.run == other.run && s.pact == other.pact && slices.Equal(s.packages, other.packages)
}

// pactLibrary is the folder of .cache that tools/pact.sh has put libpact_ffi
// in; empty if there is none.
func pactLibrary(root string) (string, error) {
	found, err := filepath.Glob(filepath.Join(root, ".cache", "pact-*", "libpact_ffi.*"))
	if err != nil || len(found) == 0 {
		return "", err
	}
	return filepath.Abs(filepath.Dir(found[len(found)-1]))
}

// environment is what tools/pact.sh sets. In CI=true a pact file that changes
// fails a test; otherwise it would be changed in the copy, for the mutants
// after this one too.
func (t tree) environment(s suite) []string {
	if !s.pact {
		return os.Environ()
	}
	return append(os.Environ(), "CGO_ENABLED=1", fmt.Sprintf("CGO_LDFLAGS='-L%s' '-Wl,-rpath,%[1]s'", t.pact),
		"PACT_DO_NOT_TRACK=true", "PACT_LOG_LEVEL=ERROR", "CI=true")
}

// verdict is what became of a mutant.
type verdict struct {
	kind   kind
	detail string // the test that caught it, or what is wrong
}

type kind string

const (
	caught   kind = "caught"   // a test failed
	survived kind = "SURVIVED" // every test passed
	broken   kind = "BROKEN"   // it does not apply or does not compile
)

// test runs the suite's tests in the tree.
func (t tree) test(ctx context.Context, s suite) verdict {
	// vet would find some mutants by their looks; what counts is the tests.
	arguments := []string{"test", "-json", "-count=1", "-failfast", "-vet=off", "-timeout", testsWithin.String()}
	if s.run != "" {
		arguments = append(arguments, "-run", s.run)
	}
	if s.pact {
		arguments = append(arguments, "-tags", "pact")
	}
	cmd := exec.CommandContext(ctx, "go", append(arguments, s.packages...)...)
	cmd.Dir, cmd.Env = t.path, t.environment(s)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go test ends its tests
	cmd.WaitDelay = 10 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err == nil {
		return verdict{kind: survived}
	}
	return judge(output, fmt.Sprintf("%v %s", err, stderr.Bytes()))
}

// judge reads the events of a go test that failed. The first test that failed
// is the innermost one, and the one that says most.
func judge(events []byte, otherwise string) verdict {
	var built []string
	whole := verdict{broken, strings.TrimSpace(otherwise)}
	for line := range bytes.Lines(events) {
		var e struct{ Action, Package, Test, Output, FailedBuild string }
		if json.Unmarshal(line, &e) != nil {
			continue // what go test itself has to say
		}
		name := strings.TrimPrefix(e.Package, module)
		switch {
		case e.Action == "build-output":
			built = append(built, strings.TrimSpace(e.Output))
		case e.Action == "fail" && e.FailedBuild != "":
			return verdict{broken, "it does not compile: " + strings.Join(built, " ")}
		case e.Action == "fail" && e.Test != "":
			return verdict{caught, name + "." + e.Test}
		case e.Action == "fail" && whole.kind == broken:
			whole = verdict{caught, name + " (broke off)"}
		}
	}
	return whole
}
