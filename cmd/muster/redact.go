package main

import (
	"strings"
	"unicode"
)

// withoutKeys is a text in which every key is replaced: a person may have put
// one where a command or a flag belongs, and what is wrong with that is said
// in words that repeat it. What a key begins with stays where nothing of a key
// follows.
func withoutKeys(text string) string {
	for _, prefix := range []string{"cek_", "cak_"} {
		var b strings.Builder
		for {
			before, after, found := strings.Cut(text, prefix)
			b.WriteString(before)
			if !found {
				break
			}
			if rest := strings.TrimLeft(after, `"'.,;:!?)`); rest == "" || unicode.IsSpace(rune(rest[0])) {
				b.WriteString(prefix)
				text = after
				continue
			}
			b.WriteString("[redacted]")
			text = strings.TrimLeftFunc(after, inKey)
		}
		text = b.String()
	}
	return text
}

func inKey(r rune) bool {
	return r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}
