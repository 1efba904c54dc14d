package memory

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/muster-agent/muster/ports"
)

var pemBlock = regexp.MustCompile(`(?s)-----BEGIN .*?(-----END [^-]*-----|$)`)

// redact keeps a server's words to what its port allows: neither secret, as it
// is or as it rides in a URL, nor a PEM block, no control character, and 200
// characters.
func redact(words string, secret ports.Secret) string {
	words = pemBlock.ReplaceAllString(words, "[redacted]")
	if !secret.Empty() {
		for _, form := range []string{secret.Reveal(), url.PathEscape(secret.Reveal())} {
			words = strings.ReplaceAll(words, form, "[redacted]")
		}
	}
	words = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, words)
	if runes := []rune(words); len(runes) > 200 {
		return string(runes[:200])
	}
	return words
}
