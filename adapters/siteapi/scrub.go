package siteapi

import (
	"strings"
	"unicode"
)

const (
	// detailLimit is how many characters of a server's words are passed on
	// (docs/PROTOCOLS.md, "Site enrollment").
	detailLimit = 200
	// fragment is the length from which a part of the enrollment key counts
	// as the key: whatever is shorter helps nobody to guess the rest.
	fragment = 8
	redacted = "[redacted]"
)

// scrubber keeps secrets out of texts for people.
type scrubber struct{ enrollmentKey string }

// detail makes a server's words fit for a log: without keys, without control
// characters, and of at most 200 characters. Keys go first, while they are
// whole.
func (s scrubber) detail(words string) string {
	words = words[:min(len(words), 20*detailLimit)]
	words = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return -1
	}, words)
	words = strings.TrimSpace(replaceKeys(s.secret(words)))
	if runes := []rune(words); len(runes) > detailLimit {
		return string(runes[:detailLimit-1]) + "…"
	}
	return words
}

// secret replaces the enrollment key and every part of it of 8 characters or
// more, in whatever case.
func (s scrubber) secret(text string) string {
	key := s.enrollmentKey
	if len(key) < fragment {
		if key == "" {
			return text
		}
		return strings.ReplaceAll(text, key, redacted)
	}
	var out strings.Builder
	for i := 0; i < len(text); {
		n := 0
		for j := 0; j+fragment <= len(key); j++ {
			n = max(n, commonPrefix(text[i:], key[j:]))
		}
		if n < fragment {
			out.WriteByte(text[i])
			i++
			continue
		}
		out.WriteString(redacted)
		i += n
	}
	return out.String()
}

// commonPrefix is the length of what a and b begin with, ASCII case apart.
func commonPrefix(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && lower(a[n]) == lower(b[n]) {
		n++
	}
	return n
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// replaceKeys replaces the runs of the characters of keys, hex and base64 that
// look like a key.
func replaceKeys(text string) string {
	var out strings.Builder
	for text != "" {
		rest := strings.TrimLeft(text, tokenCharacters)
		if token := text[:len(text)-len(rest)]; looksLikeKey(token) && !barePrefix(token, rest) {
			out.WriteString(redacted)
		} else {
			out.WriteString(token)
		}
		n := strings.IndexAny(rest, tokenCharacters)
		if n < 0 {
			n = len(rest)
		}
		out.WriteString(rest[:n])
		text = rest[n:]
	}
	return out.String()
}

// barePrefix reports whether a token is what a key begins with, and nothing of
// a key can follow in the rest: it gives nothing away.
func barePrefix(token, rest string) bool {
	folded := strings.ToLower(token)
	rest = strings.TrimLeft(rest, punctuation)
	return (folded == "cek_" || folded == "cak_") && (rest == "" || rest[0] == ' ')
}

// punctuation may stand between a prefix and the next word.
const punctuation = `"'.,;:!?)`

const (
	digits          = "0123456789"
	tokenCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + digits + "+/_=-"
)

// looksLikeKey judges a token: one with a key's prefix in it, or a long one
// that is no word, being of both cases or with digits.
func looksLikeKey(token string) bool {
	folded := strings.ToLower(token)
	if strings.Contains(folded, "cek_") || strings.Contains(folded, "cak_") {
		return true
	}
	return len(token) >= 20 &&
		(strings.ContainsAny(token, digits) || folded != token && strings.ToUpper(token) != token)
}
