package e2e

import "strings"

// leakLength is how long a part of a secret may not be shown.
const leakLength = 8

// leaks reports whether a text holds a part of a secret.
func leaks(text, secret string) bool {
	for i := 0; i+leakLength <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+leakLength]) {
			return true
		}
	}
	return false
}

// leakyLine is the first line of a text that holds a part of a secret.
func leakyLine(text, secret string) string {
	for line := range strings.Lines(text) {
		if leaks(line, secret) {
			return line
		}
	}
	return text
}
