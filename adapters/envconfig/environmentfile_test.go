package envconfig

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/matryer/is"
)

func TestParseEnvironmentFile(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ file, want string }{
		{"", ""},
		{"A=b", "A=b"},
		{"A=b\nC=d\n", "A=b|C=d"},
		{"\ufeffA=b\r\nC=d\r\n", "A=b|C=d"},
		{"A=b\rC=d", "A=b|C=d"},
		{"\n \t\n# A=1\n ; B=2\n#\\\nA=b", "A=b"}, // a comment is not continued
		{" A \t= \t b c \t\n", "A=b c"},
		{"A=\nB= \nC=''\nD=\"\"", "A=|B=|C=|D="},
		{"A=b # no comment", "A=b # no comment"},
		{"A=b=c", "A=b=c"},
		{"A=$HOME ${HOME} `x`", "A=$HOME ${HOME} `x`"},
		{`A=a\b\\c\"d\'e\ `, `A=ab\c"d'e `}, // an escaped space is no white space
		{"A=a\\\n  b", "A=a  b"},
		{"A=a\\\r\nb", "A=ab"},
		{"A=\\\n\\\nb", "A=b"},
		{"A=a\\", "A=a"},
		{"A='a b'\n", "A=a b"},
		{"A=' a '  ", "A= a "},
		{`A='a\b"c'`, `A=a\b"c`},
		{"A='a\nb'\nC=d", "A=a\nb|C=d"},
		{"A=\"a\r\nb\"", "A=a\nb"},
		{`A="a\"b\\c\$d` + "\\`" + `e\nf\'g"`, `A=a"b\c$d` + "`" + `e\nf\'g`},
		{"A=\"a\\\nb\"", "A=ab"},
		{"A=\"a # b\"", "A=a # b"},
		{`A='a'"b" c`, "A=abc"},
		{`A='a' 'b'`, "A=ab"},
		{`A=a'b' "c"`, `A=a'b' "c"`},
		{"a=1\n_B2=2", "a=1|_B2=2"},
		{"A=1\nA=2", "A=1|A=2"},
		{"A=ü", "A=ü"},
	} {
		assignments, faults := parseEnvironmentFile(row.file)
		var got []string
		for _, a := range assignments {
			got = append(got, a.name+"="+a.value)
		}
		if strings.Join(got, "|") != row.want || len(faults) > 0 {
			t.Errorf("%q gave %q, faults %v; want %q", row.file, got, faults, row.want)
		}
	}
}

func TestParseEnvironmentFileFaults(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		file string
		line int
		word string
	}{
		{"A=1\nnonsense\nB=2", 2, `no "="`},
		{"A=1\nB=2\n\n=3", 4, "no variable's name"},
		{"A=1\nB=2\n1C=3", 3, "no variable's name"},
		{"A=1\nB=2\nC D=3", 3, "no variable's name"},
		{"A=1\nB=2\nC-D=3", 3, "no variable's name"},
		{"A=1\nB='x\ny'\nC='\n\n", 4, "never closed"},
		{"A=1\nB=x\\\ny\nC=\"\\\"\n", 4, "never closed"},
		{"A=1\nB=2\nC=\"\\", 3, "never closed"},
		{"A=1\nB=2\nC='x' \"", 3, "never closed"},
		{"A=1\nB=2\nexport C=3", 3, "export"},
		{"A=1\nB=2\nexport\tC=3", 3, "export"},
		{"A=1\r\nB=2\r\nC=\xfc\r\n", 3, "UTF-8"},
		{"A=1\nB=2\n\ufeffC=1", 3, "UTF-8"},
		{"A=1\x00\nB=2", 1, "NUL"},
		{"\xff\xfeA\x00=\x001\x00\n\x00", 1, "NUL"},
	} {
		assignments, faults := parseEnvironmentFile(row.file)
		if len(faults) == 0 || faults[0].line != row.line || !strings.Contains(faults[0].text, row.word) {
			t.Errorf("%q: faults %v, want %q on line %d", row.file, faults, row.word, row.line)
		}
		if row.word != "NUL" && len(assignments) < 2 {
			t.Errorf("%q: the other lines are lost: %v", row.file, assignments)
		}
	}
}

func TestParseEnvironmentFileLines(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	assignments, faults := parseEnvironmentFile("#\r\nA='x\r\ny'\r\nB=x\\\r\ny\r\n\r\nC=1")
	is.Equal(faults, nil)
	is.Equal(assignments, []assignment{{"A", "x\ny", 2, 3}, {"B", "xy", 4, 5}, {"C", "1", 7, 7}})
}

// quoted writes assignments so that they are read as they are.
func quoted(assignments []assignment) string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", "$", `\$`)
	var b strings.Builder
	for _, a := range assignments {
		b.WriteString(a.name + `="` + escape.Replace(a.value) + "\"\n")
	}
	return b.String()
}

func FuzzEnvironmentFile(f *testing.F) {
	for _, seed := range []string{
		"", "A=b\n", "\ufeffA=b\r\nB='c d'\r\n", "# x\\\nA=\"a\\\"b\\\nc\" d\\ \n", "export A=1", "A='", "A=\"\\", "=\n", "A=\\\r\n\r", "A=\xff", "A\x00=", "A='a'\"b\"c'd'\\\ne",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		assignments, faults := parseEnvironmentFile(text)
		lines := 1 + strings.Count(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
		for _, a := range assignments {
			if !validName(a.name) || a.line < 1 || a.line > lines {
				t.Fatalf("%+v of %d lines", a, lines)
			}
			if len(faults) == 0 && (!utf8.ValidString(a.value) || strings.ContainsRune(a.value, 0)) {
				t.Fatalf("%+v is no text", a)
			}
		}
		for _, fault := range faults {
			if fault.line < 1 || fault.line > lines {
				t.Fatalf("%+v of %d lines", fault, lines)
			}
		}
		if len(faults) > 0 {
			return
		}
		again, faults := parseEnvironmentFile(quoted(assignments))
		same := slices.EqualFunc(assignments, again, func(a, b assignment) bool { return a.name == b.name && a.value == b.value })
		if !same || len(faults) > 0 {
			t.Fatalf("%+v was written and read as %+v, %v", assignments, again, faults)
		}
	})
}

// No text makes Load panic or show what it was given as a key.
func FuzzLoad(f *testing.F) {
	f.Add("MUSTER_SERVER_URL=https://h\nMUSTER_SITE_CODE=A\n", "MUSTER_LOG_LEVEL", "debug")
	f.Add("", "MUSTER_TRUST_SPKI_SHA256", "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=")
	f.Add("", "HTTPS_PROXY", "http://a:b@c")
	f.Fuzz(func(t *testing.T, file, name, value string) {
		const secret = "cek_Zq7Wm2Xk9Rt4Yp6Ls8Dv"
		if strings.Contains(file, "_FILE") || strings.Contains(name, "_FILE") {
			t.Skip("reads files")
		}
		src := source(t, file, name+"="+value, name+"="+value+secret, "MUSTER_ENROLLMENT_KEY="+secret)
		c, err := Load(src)
		if err != nil && leaked(err.Error(), secret) != "" {
			t.Fatal(err)
		}
		if c != nil {
			for _, v := range c.Values() {
				if leaked(v.Value, secret) != "" {
					t.Fatalf("%+v", v)
				}
			}
		}
	})
}
