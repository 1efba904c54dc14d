// Package redact keeps secrets out of texts for people. It alone knows what a
// secret looks like in a text.
package redact

import (
	"net/url"
	"strings"
	"unicode"

	"github.com/muster-agent/muster/ports"
)

const (
	// Mark stands where a secret was.
	Mark = "[redacted]"
	// wordsLimit is how many characters of a server's words are passed on
	// (docs/PROTOCOLS.md, "Secrets and where they go").
	wordsLimit = 200
	// fragment is the length from which a part of a secret counts as the
	// secret: a shorter one helps nobody to guess the rest.
	fragment = 8
	// keyAtLeast is the length from which a run that is no word counts as a
	// key.
	keyAtLeast = 20
)

// keyPrefixes begin the keys that a site enrollment takes and gives.
var keyPrefixes = [...]string{"cek_", "cak_"}

// Words makes a server's words fit for a log: without the secrets that are given,
// PEM and whatever looks like a key, without control characters, and of at most
// 200 characters. Secrets go first, while they are whole.
func Words(words string, secrets ...ports.Secret) string {
	words = words[:min(len(words), 20*wordsLimit)]
	words = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsPrint(r):
			return r
		}
		return -1
	}, words)
	words = strings.TrimSpace(likelyKeys(Secrets(words, secrets...)))
	if runes := []rune(words); len(runes) > wordsLimit {
		return string(runes[:wordsLimit-1]) + "…"
	}
	return words
}

// Secrets replaces PEM blocks and the secrets: as they are, as they ride in a
// URL, and every part of either of 8 characters or more, in whatever case.
func Secrets(text string, secrets ...ports.Secret) string {
	text = withoutPEM(text)
	var forms []string
	for _, s := range secrets {
		if value := s.Reveal(); value != "" {
			forms = append(forms, value, url.PathEscape(value), url.QueryEscape(value))
		}
	}
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
		out.WriteString(Mark)
		i += n
	}
	return out.String()
}

// Keys replaces every key in a text of our own, by what keys begin with. The
// beginning stays where nothing of a key follows: it gives nothing away.
func Keys(text string) string {
	var out strings.Builder
	for text != "" {
		n := prefixLength(text)
		switch {
		case n == 0:
			out.WriteByte(text[0])
			n = 1
		case bare(text[n:]):
			out.WriteString(text[:n])
		default:
			out.WriteString(Mark)
			n += runLength(text[n:])
		}
		text = text[n:]
	}
	return out.String()
}

// Userinfo replaces what stands before the @ of each URL in a text: a user name,
// and often a password. A URL is what follows "://" up to a "/", "?", "#" or
// space; a password that holds one of these unescaped is no part of a URL and
// stays.
func Userinfo(text string) string {
	var b strings.Builder
	for {
		head, rest, found := strings.Cut(text, "://")
		b.WriteString(head)
		if !found {
			return b.String()
		}
		b.WriteString("://")
		end := strings.IndexAny(rest, "/?# ")
		if end < 0 {
			end = len(rest)
		}
		if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
			b.WriteString(Mark)
			rest = rest[at:]
		}
		text = rest
	}
}

// BeginsWithKey reports whether a text begins with a key; with what keys begin
// with alone it does not.
func BeginsWithKey(text string) bool {
	n := prefixLength(text)
	return n > 0 && !bare(text[n:])
}

// Name is a peer's name for something as a log may show it: empty if it is not
// of at most 40 lower-case letters, digits and the marks "_", "-" and ".", or may
// hold a key.
func Name(name string) string {
	if len(name) > 40 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz"+digits+"_.-") != "" {
		return ""
	}
	for _, prefix := range keyPrefixes {
		if strings.Contains(name, prefix) {
			return ""
		}
	}
	return name
}

// prefixLength is how long the beginning of a key is that text begins with, in
// whatever case; 0 if there is none.
func prefixLength(text string) int {
	for _, prefix := range keyPrefixes {
		if n := len(prefix); len(text) >= n && strings.EqualFold(text[:n], prefix) {
			return n
		}
	}
	return 0
}

// bare reports whether nothing of a key can be in what follows its beginning.
func bare(rest string) bool {
	rest = strings.TrimLeft(rest, `"'.,;:!?)`)
	return rest == "" || strings.ContainsRune(" \t\r\n", rune(rest[0]))
}

// runLength is how far a key goes on; the punctuation of a sentence that ends
// with it is not a part of it.
func runLength(text string) int {
	if end := strings.IndexAny(text, " \t\r\n/\\?&#,;:()'\""); end >= 0 {
		text = text[:end]
	}
	return len(strings.TrimRight(text, "!"))
}

// withoutPEM replaces each PEM block, and the rest of the text where one has no
// end.
func withoutPEM(text string) string {
	const begin, end, dashes = "-----BEGIN ", "-----END ", "-----"
	before, block, found := strings.Cut(text, begin)
	if !found {
		return text
	}
	_, after, _ := strings.Cut(block, end)
	_, after, _ = strings.Cut(after, dashes)
	return before + Mark + withoutPEM(after)
}

// longestPart is the length of the longest part of form that text begins with;
// 0 if that is too short to count. A form that is shorter than a part counts
// whole.
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

const (
	digits          = "0123456789"
	tokenCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + digits + "+/_=-"
)

// likelyKeys replaces the runs of the characters of keys, hex and base64 that
// look like a key.
func likelyKeys(text string) string {
	var out strings.Builder
	for text != "" {
		rest := strings.TrimLeft(text, tokenCharacters)
		if run := text[:len(text)-len(rest)]; looksLikeKey(run) && !(prefixLength(run) == len(run) && bare(rest)) {
			out.WriteString(Mark)
		} else {
			out.WriteString(run)
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

// looksLikeKey judges a run: one with a key's beginning in it, or a long one
// that is no word, being of both cases or with digits.
func looksLikeKey(run string) bool {
	folded := strings.ToLower(run)
	for _, prefix := range keyPrefixes {
		if strings.Contains(folded, prefix) {
			return true
		}
	}
	return len(run) >= keyAtLeast &&
		(strings.ContainsAny(run, digits) || folded != run && strings.ToUpper(run) != run)
}
