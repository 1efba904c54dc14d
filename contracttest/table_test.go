package contracttest_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A row of the table in the doc comment of ports.
type row struct {
	port             string
	adapters, suites []string
}

// TestTheTableOfPorts holds the table of ports against the code: each port has
// its row, two adapters and a suite, and each of these adapters runs it.
func TestTheTableOfPorts(t *testing.T) {
	t.Parallel()
	for _, complaint := range judgeTable(portTable(t), interfaces(t), functions(t, "."), func(adapter, suite string) bool { return runs(t, adapter, suite) }) {
		t.Error(complaint)
	}
}

// The judgement is tried on tables that are wrong.
func TestTheTableOfPortsCanFail(t *testing.T) {
	t.Parallel()
	good := []row{{"Store", []string{"disk", "disk.Memory"}, []string{"Store"}}}
	ran := func(adapter, suite string) bool { return suite == "Store" && strings.HasPrefix(adapter, "disk") }
	for name, c := range map[string]struct {
		table         []row
		ports, suites []string
		complaints    int
	}{
		"as it should be":            {good, []string{"Store"}, []string{"Store"}, 0},
		"a port without a row":       {good, []string{"Store", "Clock"}, []string{"Store"}, 1},
		"a row without a port":       {good, nil, []string{"Store"}, 1},
		"two rows of a port":         {slices.Concat(good, good), []string{"Store"}, []string{"Store"}, 1},
		"a suite that is not there":  {[]row{{"Store", []string{"disk", "disk.Memory"}, []string{"Disk"}}}, []string{"Store"}, []string{"Store"}, 4},
		"a suite that is in no row":  {good, []string{"Store"}, []string{"Store", "Life"}, 1},
		"one adapter":                {[]row{{"Store", []string{"disk"}, []string{"Store"}}}, []string{"Store"}, []string{"Store"}, 1},
		"no suite":                   {[]row{{"Store", []string{"disk", "disk.Memory"}, nil}}, []string{"Store"}, nil, 1},
		"an adapter that runs none":  {[]row{{"Store", []string{"disk", "tape"}, []string{"Store"}}}, []string{"Store"}, []string{"Store"}, 1},
		"an adapter that runs one":   {[]row{{"Store", []string{"disk", "disk.Memory"}, []string{"Store", "Life"}}}, []string{"Store"}, []string{"Store", "Life"}, 2},
		"the same adapter two times": {[]row{{"Store", []string{"disk", "disk"}, []string{"Store"}}}, []string{"Store"}, []string{"Store"}, 1},
	} {
		if got := judgeTable(c.table, c.ports, c.suites, ran); len(got) != c.complaints {
			t.Errorf("%s: %d complaints, want %d: %q", name, len(got), c.complaints, got)
		}
	}
	if runs(t, "memory.Site", "RelayDialer") || runs(t, "unsupervised.Static", "Supervisor") || !runs(t, "memory.Signals", "SignalReader") {
		t.Error("whether an adapter runs a suite is not seen")
	}
}

func judgeTable(table []row, ports, suites []string, runs func(adapter, suite string) bool) (complaints []string) {
	complain := func(words ...string) { complaints = append(complaints, strings.Join(words, " ")) }
	var seen, used []string
	for _, r := range table {
		if slices.Contains(seen, r.port) || !slices.Contains(ports, r.port) {
			complain(r.port, "has a second row, or is no interface of ports")
		}
		seen = append(seen, r.port)
		if len(slices.Compact(slices.Sorted(slices.Values(r.adapters)))) < 2 || len(r.suites) == 0 {
			complain(r.port, "has fewer than two adapters, or no suite")
		}
		for _, suite := range r.suites {
			used = append(used, suite)
			if !slices.Contains(suites, suite) {
				complain(r.port, "has the suite", suite, "which contracttest does not have")
			}
			for _, adapter := range r.adapters {
				if !runs(adapter, suite) {
					complain("no test of", adapter, "runs contracttest."+suite)
				}
			}
		}
	}
	for _, port := range ports {
		if !slices.Contains(seen, port) {
			complain("the table in ports/doc.go has no row for", port)
		}
	}
	for _, suite := range suites {
		if !slices.Contains(used, suite) {
			complain("the table in ports/doc.go names the suite", suite, "nowhere")
		}
	}
	return complaints
}

// portTable reads the table in ports/doc.go. Its columns are at least two spaces
// apart; it leaves out what says more of an adapter in parentheses.
func portTable(t *testing.T) (table []row) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "ports", "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	brackets, gap := regexp.MustCompile(` \([^)]*\)`), regexp.MustCompile(` {2,}`)
	for line := range strings.Lines(string(text)) {
		cells, found := strings.CutPrefix(strings.TrimSpace(line), "//\t")
		if columns := gap.Split(cells, -1); found && len(columns) == 3 && columns[0] != "port" {
			adapters := strings.Split(brackets.ReplaceAllString(columns[1], ""), ", ")
			table = append(table, row{columns[0], adapters, strings.Split(columns[2], ", ")})
		} else if found && len(columns) != 3 {
			t.Errorf("ports/doc.go: %q has %d columns, want 3", cells, len(columns))
		}
	}
	if len(table) == 0 {
		t.Fatal("ports/doc.go holds no table")
	}
	return table
}

// interfaces returns the exported interfaces of ports without the closed sets,
// whose methods are not exported.
func interfaces(t *testing.T) (names []string) {
	t.Helper()
	for _, file := range parsed(t, filepath.Join("..", "ports"), func(name string) bool { return !strings.HasSuffix(name, "_test.go") }) {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !spec.Name.IsExported() {
				return true
			}
			i, ok := spec.Type.(*ast.InterfaceType)
			if ok && slices.ContainsFunc(i.Methods.List, func(f *ast.Field) bool { return len(f.Names) == 0 || f.Names[0].IsExported() }) {
				names = append(names, spec.Name.Name)
			}
			return true
		})
	}
	return names
}

// runs reports whether a test of an adapter calls a suite. For an adapter
// "folder.Type", only a test that mentions the type or OpenType counts.
func runs(t *testing.T, adapter, suite string) (found bool) {
	t.Helper()
	folder, typeName, _ := strings.Cut(adapter, ".")
	dir := filepath.Join("..", "adapters", folder)
	if folder == "contracttest" { // for the tests of stores, which may import no other adapter
		dir = "."
	}
	for _, file := range parsed(t, dir, func(name string) bool { return strings.HasSuffix(name, "_test.go") }) {
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(f.Name.Name, "Test") {
				continue
			}
			calls, mentions := false, typeName == ""
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.SelectorExpr:
					of, ok := n.X.(*ast.Ident)
					calls = calls || ok && of.Name == "contracttest" && n.Sel.Name == suite
				case *ast.Ident:
					mentions = mentions || n.Name == typeName || n.Name == "Open"+typeName
				}
				return true
			})
			found = found || calls && mentions
		}
	}
	return found
}
