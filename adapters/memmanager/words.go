package memmanager

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
)

var pemBlock = regexp.MustCompile(`(?s)-----BEGIN .*?(-----END [^-]*-----|$)`)

// fit keeps a manager's words to what ports.ManagerEnroller allows: no token,
// as it is or as it rides in a URL, no key, no control character, and 200
// characters.
func fit(words, token string) string {
	words = pemBlock.ReplaceAllString(words, "[redacted]")
	for _, secret := range []string{token, url.PathEscape(token)} {
		if secret != "" {
			words = strings.ReplaceAll(words, secret, "[redacted]")
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
