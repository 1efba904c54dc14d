package envconfig

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"

	"github.com/muster-agent/muster/adapters/internal/redact"
)

// Error is everything that is wrong with a configuration.
type Error struct {
	// Problems are sentences that name the variable or file, where it was set,
	// what is wrong and what to do. None holds a secret.
	Problems []string
	// Warnings are no problems by themselves, but may be what caused one: a
	// misspelt name in the environment.
	Warnings []string
}

func (e *Error) Error() string {
	warnings := ""
	for _, w := range e.Warnings {
		warnings += "\n- warning: " + w
	}
	if len(e.Problems) == 1 {
		return "configuration: " + e.Problems[0] + warnings
	}
	return fmt.Sprintf("configuration: %d problems:\n- %s%s", len(e.Problems), strings.Join(e.Problems, "\n- "), warnings)
}

// unquotable is the length in bytes from which a bad value is not repeated: it
// could be a secret in the wrong variable, and no part of one with 8
// characters may be shown.
const unquotable = 8

// quote repeats a bad value where that can give nothing away.
func quote(value string) string {
	if len(value) >= unquotable {
		return "the value"
	}
	return strconv.Quote(value)
}

// quotePath names a file. A name that is not an absolute path is not repeated:
// it could be a key given in place of its file.
func quotePath(path string) string {
	if !filepath.IsAbs(path) {
		return "the file that it names"
	}
	return path
}

// presentable is a sentence for a terminal or a log, without what a name or
// path may have brought: secrets and control characters.
func presentable(sentence string) string {
	return withoutSecrets(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, sentence))
}

// isKey reports whether value is a key, whatever variable it was given to.
func isKey(value string) bool {
	return redact.BeginsWithKey(strings.Trim(value, " \t\r\n'\""))
}

// WithoutKeys is a text of our own in which every key is replaced: a person may
// have put one where a command or a flag belongs, and what is wrong with that is
// said in words that repeat it.
func WithoutKeys(text string) string { return redact.Keys(text) }

// withoutSecrets replaces what is a secret in any text: keys, and what stands
// before the @ in a URL.
func withoutSecrets(text string) string { return redact.Userinfo(redact.Keys(text)) }

// reason is what went wrong with a file, without its name.
func reason(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "this user may not read it; run as root, or give the user the right to read it"
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "it does not exist; create it, or correct the name"
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return err.Error()
}
