package contracttest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/muster-agent/muster"

// systems are the operating systems that the agent is built for.
var systems = []string{"linux", "windows", "darwin"}

// A layer is a row of the table in the architecture document. Folders are
// named from the top of the module and stand for all below them; "" is every
// folder of ours.
type layer struct {
	folder string
	may    []string // folders that it may import besides itself
	not    []string // folders that it may not, though may names one around them
	by     []string // the only rows whose packages may import it; nil for all that may by their own
	each   bool     // each folder right below is a layer of its own
	tests  []string // folders that its tests may import besides
	others []string // what it may import that is neither ours nor the standard library's; nil for anything
	never  []string // packages of the standard library that it may not
}

var (
	nothing = []string{}
	// world is what makes a decision depend on more than its arguments.
	world = []string{"os", "os/exec", "os/signal", "os/user", "io/fs", "io/ioutil", "syscall", "net", "net/http", "log", "log/slog", "math/rand", "math/rand/v2", "crypto/rand"}
)

var layers = []layer{
	{folder: "ports", others: nothing},
	{folder: "domain", may: []string{"ports"}, others: nothing, never: world},
	// The rooms of app, from the ground up: only those below a row may import it.
	room("wait", "latest", "site", "relay", "certs", "issue", "app"),
	room("latest", "certs", "site", "relay", "app"),
	room("tracker", "skew", "identity", "certs", "site", "issue", "relay", "app"),
	room("attempts", "certs", "site", "issue", "relay", "app"),
	room("skew", "certs", "site", "issue", "relay", "app"),
	room("identity", "site", "issue", "relay", "app"),
	room("certs", "issue", "app"),
	room("site", "relay", "app"),
	room("issue", "app"),
	room("relay", "app"),
	{folder: "app", may: []string{"ports", "domain"}, tests: []string{"adapters", "contracttest"}, others: nothing},
	{folder: "adapters/internal", each: true, by: []string{"adapters"}, may: []string{"ports"}, tests: []string{"contracttest"}, others: []string{"golang.org/x/sys"}},
	{folder: "adapters", each: true, may: []string{"ports", "adapters/internal"}, tests: []string{"contracttest", "fakeserver"}},
	{folder: "contracttest", may: []string{"ports"}, tests: []string{""}, others: []string{"github.com/matryer/is"}},
	{folder: "fakeserver"},
	{folder: "cmd/muster", may: []string{""}, not: []string{"fakeserver", "contracttest", "cmd", "e2e", "systemdtest", "bench", "tools"}, tests: []string{"fakeserver", "contracttest"}},
	{folder: "cmd/fakeserver", may: []string{"fakeserver"}},
	{folder: "e2e"}, // drives the programs from outside
	{folder: "systemdtest", tests: []string{"e2e/control"}}, // the same, as systemd does
	{folder: "bench", others: nothing},
	{folder: "packaging", others: nothing},
	{folder: "tools", others: nothing},
}

const rooms = "app/internal/"

// room is the row of a package of app/internal, which the named rooms, or app
// itself, may import.
func room(name string, by ...string) layer {
	for i, importer := range by {
		if importer != "app" {
			by[i] = rooms + importer
		}
	}
	return layer{folder: rooms + name, may: []string{"ports", "domain", "app/internal"}, by: by, tests: []string{"adapters", "contracttest"}, others: nothing}
}

// testLibrary is what every test may use.
const testLibrary = "github.com/matryer/is"

// notInAgent is what the agent's binary must not hold, with all below it.
var notInAgent = []string{
	"testing", "github.com/go-chi/chi", "github.com/matryer/is", "github.com/pact-foundation",
	module + "/adapters/internal/durable/powercut", module + "/adapters/memory", module + "/fakeserver", module + "/contracttest", module + "/e2e", module + "/systemdtest", module + "/bench", module + "/tools",
}

// listed is what go list says of a package.
type listed struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

func TestImportsKeepToTheLayers(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{} // folders that were judged for any system
	for _, system := range systems {
		for _, p := range goList(t, system, "./...") {
			seen[folderOf(p.ImportPath)] = true
			for _, complaint := range judge(p) {
				t.Errorf("%s: %s", system, complaint)
			}
		}
	}
	// The judgement is worth something only if it saw every package.
	for _, folder := range foldersWithGo(t) {
		if !seen[folder] {
			t.Errorf("%s has Go files, but go list shows no package there for any of %v", folder, systems)
		}
	}
	if !seen["ports"] || !seen["contracttest"] {
		t.Errorf("go list saw neither ports nor contracttest; it saw %v", seen)
	}
}

func TestTheAgentHoldsOnlyWhatShips(t *testing.T) {
	t.Parallel()
	for _, system := range systems {
		for _, tags := range []string{"nethttpomithttp2", "dev"} {
			var paths []string
			for _, p := range goList(t, system, "-deps", "-tags", tags, "./cmd/muster") {
				paths = append(paths, p.ImportPath)
				for _, unwanted := range notInAgent {
					if within(p.ImportPath, unwanted) {
						t.Errorf("%s, tags %s: the agent's binary holds %s", system, tags, p.ImportPath)
					}
				}
			}
			for _, sure := range []string{"runtime", module + "/ports", module + "/cmd/muster"} {
				if !slices.Contains(paths, sure) {
					t.Errorf("%s, tags %s: go list does not name %s among the %d packages of the agent", system, tags, sure, len(paths))
				}
			}
		}
	}
}

// Time and chance are arguments of domain; the imports of chance are covered
// by the layers.
func TestDomainAsksNoClock(t *testing.T) {
	t.Parallel()
	files := 0
	err := fs.WalkDir(os.DirFS(".."), "domain", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		files++
		source, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		complaints, err := clockUses(name, source)
		for _, complaint := range complaints {
			t.Error(complaint)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Fatalf("judged %d files of domain: %v", files, err)
	}
}

// The rooms of app lie upon each other: a row that let a room import one above
// it would allow a cycle. No row is left without a package.
func TestTheRoomsHaveOneDirection(t *testing.T) {
	t.Parallel()
	at := func(folder string) int {
		return slices.IndexFunc(layers, func(l layer) bool { return l.folder == folder })
	}
	for i, l := range layers {
		for _, importer := range l.by {
			if j := at(importer); strings.HasPrefix(l.folder, rooms) && j <= i {
				t.Errorf("%s is to be imported by %s, which lies at or below it (row %d, %d)", l.folder, importer, i, j)
			}
		}
		if !slices.ContainsFunc(foldersWithGo(t), func(folder string) bool { return within(folder, l.folder) }) {
			t.Errorf("there is no %s", l.folder)
		}
	}
}

// The rules are tried on packages that break them.
func TestTheRulesCanFail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		folder, imports string
		inTest          bool
		ok              bool
	}{
		{"ports", "net/url", false, true},
		{"ports", module + "/domain/retry", false, false},
		{"ports", "golang.org/x/sys/unix", false, false},
		{"ports", testLibrary, true, true},
		{"ports", module + "/contracttest", true, false},
		{"domain/retry", module + "/ports", false, true},
		{"domain/retry", module + "/domain/cert", false, true},
		{"domain/retry", module + "/adapters/store", false, false},
		{"domain/retry", "math/rand/v2", false, false},
		{"domain/retry", "math/rand/v2", true, true},
		{"domain/retry", "os", false, false},
		{"domain/retry", "github.com/coder/websocket", false, false},
		{"app", module + "/domain/retry", false, true},
		{"app", module + "/adapters/store", false, false},
		{"app", module + "/adapters/store", true, true},
		{"app", module + "/fakeserver", true, false},
		{"app", module + "/app/internal/wait", false, true},
		{"app/internal/relay", module + "/app/internal/site", false, true},
		{"app/internal/relay", module + "/domain/retry", false, true},
		{"app/internal/relay", module + "/ports", false, true},
		{"app/internal/relay", module + "/adapters/store", false, false},
		{"app/internal/relay", module + "/app", false, false},
		{"app/internal/site", module + "/app/internal/relay", false, false}, // upward
		{"app/internal/wait", module + "/app/internal/site", false, false},
		{"app/internal/unheard", module + "/ports", false, false},
		{"cmd/muster", module + "/app/internal/wait", false, false},
		{"adapters/store", module + "/app/internal/wait", false, false},
		{"adapters/store", module + "/ports", false, true},
		{"adapters/store", module + "/adapters/store/internal/record", false, true},
		{"adapters/store/internal/record", module + "/adapters/store", false, true},
		{"adapters/store", module + "/adapters/internal/durable", false, true},
		{"adapters/internal/durable", module + "/ports", false, true},
		{"adapters/internal/durable", module + "/adapters/internal/durable/powercut", true, true},
		{"adapters/internal/durable", module + "/adapters/internal/redact", false, false},
		{"adapters/internal/durable", module + "/adapters/store", false, false},
		{"adapters/internal/durable", module + "/domain/retry", false, false},
		{"adapters/internal/durable", "golang.org/x/sys/windows", false, true},
		{"adapters/internal/durable", "github.com/coder/websocket", false, false},
		{"app", module + "/adapters/internal/durable", true, false},
		{"cmd/muster", module + "/adapters/internal/durable", false, false},
		{"contracttest", module + "/adapters/internal/durable", true, false},
		{"adapters/store", module + "/adapters/memory", false, false},
		{"adapters/store", module + "/adapters/storedir", false, false},
		{"adapters/store", module + "/domain/retry", false, false},
		{"adapters/store", module + "/app", false, false},
		{"adapters/store", module + "/app", true, false},
		{"adapters/store", module + "/contracttest", false, false},
		{"adapters/store", module + "/contracttest", true, true},
		{"adapters/store", "github.com/coder/websocket", false, true},
		{"adapters/store", testLibrary, false, false},
		{"contracttest", testLibrary, false, true},
		{"contracttest", module + "/fakeserver", false, false},
		{"contracttest", module + "/fakeserver", true, true},
		{"fakeserver", module + "/ports", false, false},
		{"fakeserver", module + "/ports", true, false},
		{"fakeserver", "github.com/go-chi/chi/v5", false, true},
		{"cmd/muster", module + "/app", false, true},
		{"cmd/muster", module + "/adapters/store", false, true},
		{"cmd/muster", module + "/fakeserver", false, false},
		{"cmd/muster", module + "/fakeserver", true, true},
		{"cmd/muster", module + "/contracttest", false, false},
		{"cmd/muster", module + "/bench", false, false},
		{"cmd/fakeserver", module + "/fakeserver", false, true},
		{"cmd/fakeserver", module + "/ports", false, false},
		{"e2e", module + "/fakeserver", true, false},
		{"e2e", module + "/e2e/control", true, true},
		{"systemdtest", module + "/e2e/control", true, true},
		{"systemdtest", module + "/fakeserver", true, false},
		{"portsandmore", "fmt", false, false},
		{"util", "fmt", false, false},
	} {
		p := listed{ImportPath: module + "/" + c.folder}
		if c.inTest {
			p.TestImports = []string{c.imports}
		} else {
			p.Imports = []string{c.imports}
		}
		if complaints := judge(p); (len(complaints) == 0) != c.ok {
			t.Errorf("%s importing %s (in a test: %v): want ok %v, got %q", c.folder, c.imports, c.inTest, c.ok, complaints)
		}
	}

	for source, ok := range map[string]bool{
		"import \"time\"\nvar x = time.Now()":                                   false,
		"import clock \"time\"\nvar x = clock.Since":                            false,
		"import . \"time\"\nvar x = Now()":                                      false,
		"import \"time\"\nvar x = time.Duration(1).Seconds()":                   true,
		"import \"time\"\nfunc f(now time.Time) bool { return now.After(now) }": true,
	} {
		complaints, err := clockUses("x.go", []byte("package x\n"+source))
		if err != nil {
			t.Fatal(err)
		}
		if (len(complaints) == 0) != ok {
			t.Errorf("%q: want ok %v, got %q", source, ok, complaints)
		}
	}
}

// judge returns the imports of a package that break the rules.
func judge(p listed) (complaints []string) {
	folder := folderOf(p.ImportPath)
	l, ok := layerOf(folder)
	if !ok || l.folder == "app" && within(folder, strings.TrimSuffix(rooms, "/")) {
		return []string{folder + " belongs to no layer of the architecture; move it, or give it a row with its rule"}
	}
	for _, imported := range p.Imports {
		if !l.allows(folder, imported, false) {
			complaints = append(complaints, fmt.Sprintf("%s may not import %s", folder, imported))
		}
	}
	for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
		if !l.allows(folder, imported, true) {
			complaints = append(complaints, fmt.Sprintf("the tests of %s may not import %s", folder, imported))
		}
	}
	return complaints
}

// layerOf returns the first row that a folder is in.
func layerOf(folder string) (layer, bool) {
	i := slices.IndexFunc(layers, func(l layer) bool { return within(folder, l.folder) })
	if i < 0 {
		return layer{}, false
	}
	return layers[i], true
}

// allows reports whether a package in folder, which belongs to layer l, may
// import another.
func (l layer) allows(folder, imported string, inTest bool) bool {
	anyOf := func(folders []string) bool {
		return slices.ContainsFunc(folders, func(f string) bool { return within(folderOf(imported), f) })
	}
	switch {
	case imported == module || within(imported, module):
		own := l.folder
		if l.each {
			below, _, _ := strings.Cut(strings.TrimPrefix(folder, own+"/"), "/")
			own += "/" + below
		}
		if within(folderOf(imported), own) {
			return true
		}
		to, _ := layerOf(folderOf(imported))
		if to.by != nil && !slices.Contains(to.by, l.folder) {
			return false
		}
		return anyOf(l.may) && !anyOf(l.not) || inTest && anyOf(l.tests)
	case !strings.Contains(strings.SplitN(imported, "/", 2)[0], "."): // the standard library has no host name
		return inTest || !slices.Contains(l.never, imported)
	case within(imported, testLibrary):
		return inTest || slices.Contains(l.others, testLibrary)
	default:
		return l.others == nil || slices.ContainsFunc(l.others, func(o string) bool { return within(imported, o) })
	}
}

// clocks are the functions of package time that ask what time it is, or wait.
var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

// clockUses says where a file uses the clock.
func clockUses(name string, source []byte) (complaints []string, err error) {
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	timeName := ""
	for _, spec := range file.Imports {
		if imported, err := strconv.Unquote(spec.Path.Value); err != nil || imported != "time" {
			continue
		}
		timeName = "time"
		if spec.Name != nil {
			timeName = spec.Name.Name
		}
	}
	if timeName == "." {
		return []string{name + " imports time with a dot, so that its clock cannot be told from others"}, nil
	}
	ast.Inspect(file, func(n ast.Node) bool {
		selector, ok := n.(*ast.SelectorExpr)
		if !ok || !slices.Contains(clocks, selector.Sel.Name) {
			return true
		}
		if of, ok := selector.X.(*ast.Ident); ok && of.Name == timeName {
			complaints = append(complaints, fmt.Sprintf("%s: domain may not use %s.%s: take the time as an argument",
				positions.Position(selector.Pos()), timeName, selector.Sel.Name))
		}
		return true
	})
	return complaints, nil
}

// goList runs go list at the top of the module for a system, without cgo, as
// the agent is built. A package that does not build is shown too: what it
// imports is known.
func goList(t *testing.T, system string, args ...string) []listed {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go to ask where these tests run")
	}
	cmd := exec.Command("go", append([]string{"list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports"}, args...)...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH=amd64", "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v for %s: %v\n%s", cmd.Args, system, err, &stderr)
	}
	var packages []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("read what go list says: %v", err)
		}
		packages = append(packages, p)
	}
}

// folderOf is an import path of ours, from the top of the module.
func folderOf(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, module), "/")
}

// within says whether a slash-separated name is outer or below it.
func within(name, outer string) bool {
	return outer == "" || name == outer || strings.HasPrefix(name, outer+"/")
}
