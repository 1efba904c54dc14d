package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// Describe puts a failed request into words: a sentence part without a final
// stop, of at most 300 characters, that says what failed and, where there is
// something to do, what to do.
//
// The text never holds a URL, a proxy's password or what a server sent in place of
// HTTP (which may be an echo of our own request): it depends on the kind of the
// error. Only an error of an unknown kind is quoted, up to its first quotation
// mark.
func Describe(err error) string { return Variables{}.Describe(err) }

// Describe is the function Describe for settings with these names.
func (v Variables) Describe(err error) string { return plain(v.describe(err), 300) }

func (v Variables) describe(err error) string {
	if inURL, ok := errors.AsType[*url.Error](err); ok {
		return v.describe(inURL.Err) // what is around it may repeat the URL
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.Is(err, errNotPinned):
		return errNotPinned.Error() + ": compare " + v.pins() + " with the server's key"
	}
	op, isOp := errors.AsType[*net.OpError](err)
	if isOp && op.Op == "proxyconnect" {
		return "on the way to the proxy: " + v.describe(op.Err)
	}
	if text := v.describeCertificate(err); text != "" {
		return text
	}
	if refused, ok := errors.AsType[proxyRefusedError](err); ok {
		return refused.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return describeDNS(dns)
	}
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if strings.HasPrefix(string(record.RecordHeader[:]), "HTTP") {
			return "the server speaks plain HTTP on this port, not TLS"
		}
		return "the server does not speak TLS on this port"
	}
	if isOp {
		return v.describeOp(op)
	}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timed out"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the connection was closed before the answer was complete"
	}
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return "what the server sent is not HTTP"
	}
	text, _, _ := strings.Cut(err.Error(), `"`)
	return strings.TrimRight(text, " :")
}

// describeCertificate returns "" for an error that no certificate caused.
func (v Variables) describeCertificate(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "the server's certificate is signed by an unknown authority: name a file with that authority's certificate in " + v.caFile() + ", or pin its key with " + v.pins()
	}
	if name, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("the server's certificate is for %s, not for %s", names(name.Certificate), name.Host)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if invalid.Reason == x509.Expired {
			return fmt.Sprintf("probably a clock problem: the server's certificate is valid from %s to %s (%s); if this machine's clock is right, the server's certificate must be renewed",
				invalid.Cert.NotBefore.UTC().Format(time.RFC3339), invalid.Cert.NotAfter.UTC().Format(time.RFC3339), invalid.Detail)
		}
		return "the server's certificate is not valid: " + strings.TrimPrefix(invalid.Error(), "x509: ")
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return "the system's root certificates cannot be read: install them (package ca-certificates), or set " + v.caFile()
	}
	return ""
}

// names lists the names that a certificate is for, the first three of them.
func names(cert *x509.Certificate) string {
	all := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	switch {
	case len(all) == 0:
		return "no name at all"
	case len(all) > 3:
		return plain(strings.Join(all[:3], ", "), 100) + " and others"
	}
	return plain(strings.Join(all, ", "), 100)
}

func describeDNS(err *net.DNSError) string {
	switch {
	case err.IsNotFound:
		return fmt.Sprintf("DNS knows no host %s", err.Name)
	case err.IsTimeout:
		return fmt.Sprintf("DNS did not answer in time for %s", err.Name)
	}
	return fmt.Sprintf("DNS could not find %s: %s", err.Name, err.Err)
}

func (v Variables) describeOp(op *net.OpError) string {
	what := "the connection"
	switch op.Op {
	case "remote error":
		return "the server ended the TLS handshake: " + op.Err.Error()
	case "dial":
		what = "connecting"
	}
	if op.Addr != nil {
		what += " to " + op.Addr.String()
	}
	if errno, ok := errors.AsType[syscall.Errno](op.Err); ok {
		return what + ": " + errno.Error()
	}
	return what + ": " + v.describe(op.Err)
}

// plain makes text fit for a log: printable, and of at most limit runes.
func plain(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}
