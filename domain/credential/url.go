package credential

import (
	"net/url"
	"strings"
)

// CanonicalURL returns a server's URL in the form in which two of them are
// compared: scheme and host in lower case, without the scheme's default port and
// without trailing slashes. A text that is no URL is returned as it is.
func CanonicalURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return raw
	}
	scheme, host := strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch scheme {
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return scheme + "://" + host + strings.TrimRight(u.EscapedPath(), "/")
}

// CanonicalManagerURL is CanonicalURL for a manager, whose URL may be given
// with or without /api/v1 (docs/PROTOCOLS.md, "Manager enrollment").
func CanonicalManagerURL(raw string) string {
	return strings.TrimSuffix(CanonicalURL(raw), "/api/v1")
}
