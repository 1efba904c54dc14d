package envconfig

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/muster-agent/muster/adapters/internal/redact"
	"github.com/muster-agent/muster/ports"
)

// serverURL is the base URL of an enrollment server (docs/PROTOCOLS.md, "Rules
// for every request"). check decides whether it may be http.
type serverURL struct{ url *url.URL }

func (s *serverURL) UnmarshalText(raw []byte) (err error) {
	s.url, err = parseURL(string(raw), "https", "http")
	return err
}

// relayURL is the relay's complete endpoint (docs/PROTOCOLS.md, "Handshake").
// check decides whether it may be without TLS.
type relayURL struct{ url *url.URL }

// relayPath is the endpoint on a host that is given without a path.
const relayPath = "/ws/agent"

func (r *relayURL) UnmarshalText(raw []byte) error {
	u, err := parseURL(string(raw), "wss", "https", "ws", "http")
	if err != nil {
		return err
	}
	if u.Path == "" || u.Path == "/" {
		u.Path, u.RawPath = relayPath, ""
	}
	r.url = u
	return nil
}

// parseURL reads an absolute URL of one of the schemes. Its errors repeat
// nothing but a short scheme: a URL may hold a password or a key.
func parseURL(raw string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("the value is not a URL; write it like %s://server.example.org", schemes[0])
	}
	switch {
	case u.Scheme == "":
		return nil, fmt.Errorf("the URL does not begin with %s://; write it like %[1]s://server.example.org", schemes[0])
	case !slices.Contains(schemes, u.Scheme):
		return nil, fmt.Errorf("the scheme of the URL (%s) is not supported; write it like %s://server.example.org", quote(u.Scheme), schemes[0])
	case u.User != nil:
		return nil, errors.New("the URL holds a user name or password; remove what is before the @")
	case u.Hostname() == "":
		return nil, fmt.Errorf("the URL names no host; write it like %s://server.example.org", schemes[0])
	case !validPort(u):
		return nil, errors.New("the URL's port is not a number from 1 to 65535")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("the URL has a query; remove the ? and what follows it")
	case u.Fragment != "":
		return nil, errors.New("the URL has a fragment; remove the # and what follows it")
	}
	return u, nil
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return true
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}

// isPlain reports whether u is without TLS.
func isPlain(u *url.URL) bool { return u.Scheme == "http" || u.Scheme == "ws" }

// isLoopback reports whether u names this machine: an address of 127.0.0.0/8,
// ::1, or localhost.
func isLoopback(u *url.URL) bool {
	host := u.Hostname()
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback() && !ip.Is4In6() && ip.Zone() == ""
}

// proxyURL is a proxy as HTTPS_PROXY names it: a URL, or host:port. It is a
// secret as a whole, since it may hold a password.
type proxyURL struct{ secret ports.Secret }

func (p *proxyURL) UnmarshalText(raw []byte) error {
	u, err := parseProxy(string(raw))
	if err != nil {
		return errors.New("the value is not a proxy's URL; write it like http://proxy.example.org:3128")
	}
	if !slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme) {
		return errors.New("the proxy's scheme is none of http, https, socks5 and socks5h")
	}
	if u.Hostname() == "" || !validPort(u) {
		return errors.New("the proxy's URL names no host or no valid port; write it like http://proxy.example.org:3128")
	}
	p.secret = ports.NewSecret(string(raw))
	return nil
}

// parseProxy reads a proxy as golang.org/x/net/http/httpproxy does, for which
// host:port is short for http://host:port.
func parseProxy(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	return url.Parse(raw)
}

// redactProxy returns a proxy's URL without user name and password, and without
// path and query, which mean nothing to a proxy.
func redactProxy(raw string) string {
	u, err := parseProxy(raw)
	if err != nil {
		return redact.Mark
	}
	userinfo := ""
	if u.User != nil {
		userinfo = redact.Mark + "@"
	}
	return withoutSecrets(u.Scheme + "://" + userinfo + u.Host)
}
