package managerapi

import (
	"net/url"
	"strings"
	"unicode"
)

const (
	// detailLimit is how many characters of a manager's words are passed on
	// (ports.CertificateIssuer).
	detailLimit = 200
	// fragment is the length from which a part of the polling token counts as
	// the token: whatever is shorter helps nobody to guess the rest.
	fragment = 8
	redacted = "[redacted]"
)

// scrubber keeps secrets out of texts for people: the polling token, and
// whatever looks like a key.
type scrubber struct{ token string }

// detail makes a manager's words fit for a log: without secrets, without
// control characters, and of at most 200 characters. Secrets go first, while
// they are whole.
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

// secret replaces PEM blocks and the token: as it is, as it rides in the URL,
// and every part of either of 8 characters or more, in whatever case.
func (s scrubber) secret(text string) string {
	return replaceParts(replacePEM(text), s.token, url.PathEscape(s.token))
}

// replacePEM replaces each PEM block, and the rest of the text where one has
// no end.
func replacePEM(text string) string {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	before, block, found := strings.Cut(text, begin)
	if !found {
		return text
	}
	_, after, _ := strings.Cut(block, end)
	_, after, _ = strings.Cut(after, dashes)
	return before + redacted + replacePEM(after)
}

// replaceParts replaces the forms of a secret and their parts. A form that is
// shorter than a part is replaced where it stands whole.
func replaceParts(text string, forms ...string) string {
	var out strings.Builder
	for i := 0; i < len(text); {
		n := 0
		for _, form := range forms {
			n = max(n, longestPart(text[i:], form))
		}
		if n == 0 {
			out.WriteByte(text[i])
			i++
			continue
		}
		out.WriteString(redacted)
		i += n
	}
	return out.String()
}

// longestPart is the length of the longest part of form that text begins
// with; 0 if that is too short to count.
func longestPart(text, form string) (longest int) {
	least := min(len(form), fragment)
	for j := 0; j+least <= len(form); j++ {
		if n := commonPrefix(text, form[j:]); n >= least {
			longest = max(longest, n)
		}
	}
	return longest
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

// looksLikeKey judges a run: one with a key's prefix in it, or a long one that
// is no word, being of both cases or with digits.
func looksLikeKey(run string) bool {
	folded := strings.ToLower(run)
	if strings.Contains(folded, "cek_") || strings.Contains(folded, "cak_") {
		return true
	}
	return len(run) >= 20 &&
		(strings.ContainsAny(run, digits) || folded != run && strings.ToUpper(run) != run)
}
