package identity

import (
	"strings"
	"unicode"
)

// Normalise returns the form in which a signal is compared, hashed and named:
// without control characters (NUL included) anywhere and without white space
// around it, in upper case. The result holds no NUL, which separates values
// in [MachineUID].
func Normalise(raw string) string {
	visible := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, raw)
	return strings.TrimSpace(visible)
}
