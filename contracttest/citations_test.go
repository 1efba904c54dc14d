package contracttest_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// citation is how a comment cites a document, `docs/SPEC.md, "Status"`, or only
// names one, `README.md`. White space stands for any line break.
var citation = regexp.MustCompile(`([\w./-]*\w\.md)\b(?:,\s+"([^"]+)")?`)

// TestCommentsCiteWhatIsThere holds each document and each heading that a
// comment of a Go file cites against the documents of the repository.
func TestCommentsCiteWhatIsThere(t *testing.T) {
	t.Parallel()
	cited := 0
	for _, folder := range foldersWithGo(t) {
		files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(folder), "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			n, complaints, err := judgeCitations(name, source)
			if err != nil {
				t.Error(err)
			}
			for _, complaint := range complaints {
				t.Error(complaint)
			}
			cited += n
		}
	}
	if cited < 50 {
		t.Errorf("%d headings are cited, want the dozens that there are", cited)
	}
}

// The judgement is tried on comments that cite what is not there.
func TestCitationsCanFail(t *testing.T) {
	t.Parallel()
	for comment, complaints := range map[string]int{
		"// See README.md.": 0,
		"// docs/PROTOCOLS.md, \"Site enrollment\", and docs/SPEC.md, \"Log\"": 0,
		"// So it is (docs/PROTOCOLS.md, \"Rules for\n// every request\").":    0,
		"/* docs/PROTOCOLS.md,\n \"Relay\" */":                                 0,
		"// See protocols.md.":                                                 1,
		"// See PROTOCOLS.md, \"Relay\".":                                      1,
		"// docs/PROTOCOLS.md, \"Site\n// disenrollment\"":                     1,
		"// docs/SPEC.md, \"Muster\"":                                          1, // a word of the text, not a heading
		"// docs/SPEC.md, \"Log\", and docs/SPEC.md,\n// \"Logs\"":             1,
	} {
		_, got, err := judgeCitations("x.go", []byte(comment+"\npackage x\n"))
		if err != nil || len(got) != complaints {
			t.Errorf("%q: %d complaints, want %d: %q, %v", comment, len(got), complaints, got, err)
		}
	}
}

// judgeCitations counts the headings that the comments of a Go file cite, and
// says which of these, and which documents, are not there.
func judgeCitations(name string, source []byte) (cited int, complaints []string, err error) {
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return 0, nil, fmt.Errorf("parse %s: %w", name, err)
	}
	for _, group := range file.Comments {
		for _, c := range citation.FindAllStringSubmatch(textOf(group), -1) {
			document, heading := c[1], strings.Join(strings.Fields(c[2]), " ")
			text, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(document)))
			switch {
			case err != nil:
				complaints = append(complaints, fmt.Sprintf("%s: there is no %s", positions.Position(group.Pos()), document))
			case heading != "":
				cited++
				if !slices.ContainsFunc(strings.Split(string(text), "\n"), func(line string) bool {
					return strings.HasPrefix(line, "#") && strings.TrimLeft(line, "# ") == heading
				}) {
					complaints = append(complaints, fmt.Sprintf("%s: %s has no heading %q", positions.Position(group.Pos()), document, heading))
				}
			}
		}
	}
	return cited, complaints, nil
}

// textOf is a comment without its marks, directives included.
func textOf(group *ast.CommentGroup) string {
	var text strings.Builder
	for _, c := range group.List {
		text.WriteString(strings.TrimSuffix(c.Text[2:], "*/") + "\n")
	}
	return text.String()
}
