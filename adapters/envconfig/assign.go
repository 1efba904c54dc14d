package envconfig

import (
	"fmt"
	"slices"
	"strings"
)

// Assignment sets a name to a value, which is taken as it is.
type Assignment struct{ Name, Value string }

// Assign returns the text of a configuration file with values set. Earlier
// assignments to the same names are dropped, and so are those to their twins (a
// secret, and the file that holds it); the rest stays as it is. An error repeats
// no value.
func Assign(text string, values []Assignment) (string, error) {
	text = strings.ReplaceAll(strings.TrimPrefix(text, byteOrderMark), "\r\n", "\n")
	var kept strings.Builder
	from := 0 // where the text begins that is not yet kept
	s := scanner{rest: text, line: 1}
	for s.skipToName() {
		begin := len(text) - len(s.rest)
		name, ok := s.name()
		if !ok {
			continue // no assignment, of which Load complains
		}
		if _, closed := s.value(); !closed {
			break // the same
		}
		if !slices.ContainsFunc(values, func(v Assignment) bool { return sameSetting(v.Name, name) }) {
			continue
		}
		kept.WriteString(text[from:begin])
		if s.at(newlines) {
			s.take(1)
		}
		from = len(text) - len(s.rest)
	}
	kept.WriteString(text[from:])
	if kept.Len() > 0 && !strings.HasSuffix(kept.String(), "\n") {
		kept.WriteByte('\n')
	}
	for _, v := range values {
		if !validName(v.Name) {
			return "", fmt.Errorf("%q is no variable's name; names are of letters, digits and _", v.Name)
		}
		if strings.ContainsAny(v.Value, "'\n\r\x00") {
			return "", fmt.Errorf("%s: a value with a quote or of more than one line cannot be written; edit the configuration file by hand", v.Name)
		}
		fmt.Fprintf(&kept, "%s='%s'\n", v.Name, v.Value)
	}
	return kept.String(), nil
}

// sameSetting reports whether two names are of one setting, as those of a secret
// and of the file that holds it are.
func sameSetting(a, b string) bool {
	return strings.TrimSuffix(a, "_FILE") == strings.TrimSuffix(b, "_FILE")
}
