package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/muster-agent/muster/ports"
)

// proxies chooses by the rules of net/http.ProxyFromEnvironment, which reads
// nothing but the environment. They are written out here because
// golang.org/x/net/http/httpproxy brings a second copy of the tables for
// international names, 200 kB of them.
type proxies struct {
	https, http *url.URL
	exceptions  []exception
}

// exception is an entry of NO_PROXY: all, a network or a domain.
type exception struct {
	all        bool         // *
	network    netip.Prefix // 10.0.0.0/8, or one address
	domain     string       // .example.org
	domainSelf bool         // example.org itself, too
	port       string       // "" for any
}

func newProxies(s ports.ProxySettings) (proxies, error) {
	https, httpsErr := proxyURL("HTTPS_PROXY", s.HTTPS)
	http, httpErr := proxyURL("HTTP_PROXY", s.HTTP)
	return proxies{https, http, parseExceptions(s.No)}, errors.Join(httpsErr, httpErr)
}

// proxyURL reads a URL, or a host and port, which mean http. Its error does
// not quote what it read: there may be a password in it.
func proxyURL(name string, value ports.Secret) (*url.URL, error) {
	if value.Empty() {
		return nil, nil
	}
	text := value.Reveal()
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("%s is neither a URL nor host:port (special characters in a password are written %%XX)", name)
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return u, nil
	}
	return nil, fmt.Errorf("%s names a proxy by another scheme than http, https, socks5 or socks5h", name)
}

func parseExceptions(list string) []exception {
	var out []exception
	for entry := range strings.SplitSeq(strings.ToLower(list), ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		if entry == "*" {
			return []exception{{all: true}}
		}
		if p, err := netip.ParsePrefix(entry); err == nil {
			out = append(out, exception{network: p.Masked()})
			continue
		}
		host, port, err := net.SplitHostPort(entry)
		if err != nil {
			host, port = entry, ""
		}
		if ip, err := netip.ParseAddr(host); err == nil {
			ip = ip.Unmap()
			out = append(out, exception{network: netip.PrefixFrom(ip, ip.BitLen()), port: port})
			continue
		}
		if strings.HasPrefix(host, "*.") {
			host = host[1:]
		}
		if host != "" {
			out = append(out, exception{
				domain: "." + strings.TrimPrefix(host, "."), domainSelf: host[0] != '.', port: port,
			})
		}
	}
	return out
}

// choose returns the proxy for a server, nil for none. A server on this machine is
// never reached through a proxy.
func (p proxies) choose(to target) *url.URL {
	proxy := p.https
	if to.scheme == "http" {
		proxy = p.http
	}
	if proxy == nil || to.host == "localhost" {
		return nil
	}
	ip, err := netip.ParseAddr(to.host)
	if err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	for _, e := range p.exceptions {
		if e.matches(to, ip.Unmap()) {
			return nil
		}
	}
	return proxy
}

func (e exception) matches(to target, ip netip.Addr) bool {
	if e.all {
		return true
	}
	if e.port != "" && e.port != to.port {
		return false
	}
	if ip.IsValid() {
		return e.network.IsValid() && e.network.Contains(ip.WithZone(""))
	}
	return e.domain != "" && (strings.HasSuffix(to.host, e.domain) || e.domainSelf && to.host == e.domain[1:])
}

// proxyRefusedError is a proxy's answer to CONNECT other than 200. The
// proxy's own words are left out.
type proxyRefusedError struct{ status int }

func (e proxyRefusedError) Error() string {
	text := fmt.Sprintf("the proxy refused to connect (status %d)", e.status)
	if e.status == http.StatusProxyAuthRequired {
		text += ": it wants a user and a password in HTTPS_PROXY, or others than those given"
	}
	return text
}

func refusedByProxy(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode != http.StatusOK {
		return proxyRefusedError{answer.StatusCode}
	}
	return nil
}
