package cert

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/muster-agent/muster/ports"
)

// maxQuoted is how many bytes a sentence quotes of a certificate's own text, or
// of a decoder's error.
const maxQuoted = 200

// detail says what is wrong and what to do, or until when the certificate is
// valid.
func (j Judgement) detail(managed bool) string {
	if j.Servable() {
		return j.validity() + "."
	}
	texts := make([]string, len(j.Problems))
	for i, p := range j.Problems {
		texts[i] = p.Text
	}
	return strings.Join(texts, "; ") + ". " + j.advice(managed)
}

func (j Judgement) validity() string {
	text := "valid until " + date(j.NotAfter)
	if j.End.Before(j.NotAfter) {
		text += fmt.Sprintf(", but a CA above it only until %s", date(j.End))
	}
	if j.Status == ports.CertExpiringSoon {
		return text + "; due for renewal since " + date(j.RenewAt)
	}
	return text + "; due for renewal on " + date(j.RenewAt)
}

// advice tells a person what to do about the worst problem.
func (j Judgement) advice(managed bool) string {
	const again = "enroll with the manager for a new set (muster run does so by itself where one is configured)"
	switch j.Status {
	case ports.CertMissing:
		if managed {
			return "They come from the manager: 'muster status' says how their request stands."
		}
		return "Put them there, or set MUSTER_MANAGER_URL to the manager that issues them."
	case ports.CertCorrupt:
		return "Restore the file, or " + again + "."
	case ports.CertNotYetValid:
		if j.ClockProblem {
			return "This machine's clock is probably slow: set it; nothing is enrolled for meanwhile."
		}
		return "Check this machine's clock; if it is right, " + again + "."
	case ports.CertExpired:
		return "Check this machine's clock; if it is right, put a current one there, or " + again + "."
	case ports.CertKeyMismatch:
		return "Put a certificate and its own key there, or " + again + "."
	case ports.CertUntrusted:
		return "Put the CA there that signed the certificate, and the intermediates with the certificate, or " + again + "."
	case ports.CertRevoked:
		return "Ask the operator of the CA why, and " + again + "."
	case ports.CertValid, ports.CertExpiringSoon, ports.CertNotConfigured:
		return ""
	}
	return ""
}

// name is what a sentence calls a certificate: its subject, else a name that it
// is for, else its serial number; in quotes.
func name(c located) string {
	subject := c.Subject.String()
	switch {
	case subject != "":
	case len(c.DNSNames) > 0:
		subject = c.DNSNames[0]
	default:
		subject = fmt.Sprintf("serial %x", c.SerialNumber)
	}
	return fmt.Sprintf("%q", printable(subject))
}

// printable makes foreign text fit for a log: one line of printable characters,
// at most maxQuoted bytes.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.TrimPrefix(s, "x509: "))
	if len(s) <= maxQuoted {
		return s
	}
	cut := maxQuoted
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
