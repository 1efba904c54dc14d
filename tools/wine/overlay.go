package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A change is one to Go's library, where it does not expect an answer that
// Wine 8 gives in place of Windows' own.
type change struct {
	file string // below GOROOT/src
	// place finds the expression before which text is to stand; nil if n
	// does not hold it.
	place func(n ast.Node) ast.Expr
	text  string
}

var changes = []change{
	{
		// os.RemoveAll deletes by FileDispositionInformationEx and falls back
		// to the older way where the system says that it does not know it.
		// Wine says so by STATUS_NOT_IMPLEMENTED ([MS-ERREF] 2.3.1), which Go
		// does not take for that.
		file: "internal/syscall/windows/at_windows.go",
		place: func(n ast.Node) ast.Expr {
			list, ok := n.(*ast.CaseClause)
			if !ok || !anyNamed(list.List, "STATUS_INVALID_INFO_CLASS") || !mentions(list, "deleteatFallback") {
				return nil
			}
			return list.List[0]
		},
		text: "NTStatus(0xC0000002), ",
	},
	{
		// A UDP socket is told not to report unreachable networks; Wine
		// answers WSAEOPNOTSUPP, and reports none.
		file: "net/fd_windows.go",
		place: func(n ast.Node) ast.Expr {
			block, ok := n.(*ast.CaseClause)
			if !ok {
				return nil
			}
			for i, statement := range block.Body[:max(0, len(block.Body)-1)] {
				call, isCall := statement.(*ast.AssignStmt)
				check, isCheck := block.Body[i+1].(*ast.IfStmt)
				if isCall && isCheck && mentions(call, "SIO_UDP_NETRESET") && mentions(check.Cond, "err") {
					return check.Cond
				}
			}
			return nil
		},
		text: "err != syscall.Errno(10045) && ",
	},
}

// writeOverlay writes the changed files into a folder and beside them the JSON
// that `go build -overlay` takes, whose path it returns.
func writeOverlay(folder string) (string, error) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("ask go for GOROOT: %w", err)
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return "", err
	}
	replace := map[string]string{}
	for _, c := range changes {
		source := filepath.Join(strings.TrimSpace(string(goroot)), "src", c.file)
		text, err := os.ReadFile(source)
		if err != nil {
			return "", fmt.Errorf("read a file of Go's library that Wine needs changed: %w", err)
		}
		if text, err = c.apply(text); err != nil {
			return "", fmt.Errorf("change %s for Wine: %w", source, err)
		}
		replace[source] = filepath.Join(folder, filepath.Base(c.file))
		if err := os.WriteFile(replace[source], text, 0o644); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "overlay.json")
	return path, os.WriteFile(path, list, 0o644)
}

// apply makes the change. There must be one place for it: a Go that was
// changed there needs to be looked at.
func (c change) apply(source []byte) ([]byte, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, c.file, source, 0)
	if err != nil {
		return nil, err
	}
	var places []int
	ast.Inspect(file, func(n ast.Node) bool {
		if expr := c.place(n); expr != nil {
			places = append(places, files.Position(expr.Pos()).Offset)
		}
		return true
	})
	if len(places) != 1 {
		return nil, fmt.Errorf("%d places were found for %q, not one: this Go differs there from the one that tools/wine/overlay.go was written for; see what it does now", len(places), c.text)
	}
	at := places[0]
	return format.Source([]byte(string(source[:at]) + c.text + string(source[at:])))
}

func anyNamed(list []ast.Expr, name string) bool {
	for _, e := range list {
		if id, ok := e.(*ast.Ident); ok && id.Name == name {
			return true
		}
	}
	return false
}

// mentions says whether an identifier stands anywhere in n.
func mentions(n ast.Node, name string) (found bool) {
	ast.Inspect(n, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == name
		return !found
	})
	return found
}
