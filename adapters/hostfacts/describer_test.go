package hostfacts

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/muster-agent/muster/contracttest"
	"github.com/muster-agent/muster/ports"
)

var errNothing = errors.New("nothing is known")

// isolated is a network of which nothing is known.
func isolated() network {
	return network{
		resolve:    func(context.Context, string) ([]netip.Addr, error) { return nil, errNothing },
		canonical:  func(context.Context, string) (string, error) { return "", errNothing },
		route:      func(context.Context, netip.Addr) (netip.Addr, error) { return netip.Addr{}, errNothing },
		interfaces: func() ([]networkInterface, error) { return nil, nil },
	}
}

func TestContract(t *testing.T) {
	t.Parallel()
	contracttest.HostDescriber(t,
		func(*testing.T) ports.HostDescriber {
			d := New(Options{})
			d.network.canonical = isolated().canonical // which would ask a name server
			return d
		},
		func(*testing.T) ports.HostDescriber {
			d := New(Options{})
			d.network = isolated()
			return d
		})
}

func addresses(texts ...string) (list []netip.Addr) {
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

// world is a host's network, in brief.
type world struct {
	configured, named string
	resolves          []string          // what the manager's name resolves to
	routes            map[string]string // the source address for each destination
	interfaces        []networkInterface
}

func (w world) describer() *Describer {
	d := New(Options{Address: w.configured, Interface: w.named})
	d.network = isolated()
	d.network.resolve = func(context.Context, string) ([]netip.Addr, error) {
		if w.resolves == nil {
			return nil, errNothing
		}
		return addresses(w.resolves...), nil
	}
	d.network.route = func(_ context.Context, to netip.Addr) (netip.Addr, error) {
		if source := w.routes[to.String()]; source != "" {
			return netip.MustParseAddr(source), nil
		}
		return netip.Addr{}, errNothing
	}
	d.network.interfaces = func() ([]networkInterface, error) { return w.interfaces, nil }
	return d
}

func TestAddress(t *testing.T) {
	t.Parallel()
	lo := networkInterface{"lo", private, addresses("127.0.0.1", "::1")}
	docker := networkInterface{"docker0", private, addresses("172.17.0.1")}
	eth0 := networkInterface{"eth0", hardware, addresses("fe80::2", "2001:db8::7", "172.17.5.9", "10.0.0.9")}
	eth1 := networkInterface{"eth1", hardware, addresses("fe80::3", "192.0.2.9")}
	wg0 := networkInterface{"wg0", software, addresses("10.99.0.1")}
	veth := networkInterface{"veth1", guest, addresses("10.88.0.1")}
	linkLocal := networkInterface{"eth9", hardware, addresses("169.254.3.4", "fe80::9")}
	all := []networkInterface{lo, docker, veth, wg0, linkLocal, eth0, eth1}

	for name, tt := range map[string]struct {
		world
		manager string
		want    string // empty for an error
	}{
		"configured":             {world{configured: "198.51.100.1", named: "eth1", interfaces: all}, "m", "198.51.100.1"},
		"configured, IPv6":       {world{configured: "2001:db8::1"}, "m", "2001:db8::1"},
		"configured, with zone":  {world{configured: "fe80::1%eth0"}, "m", "fe80::1"},
		"configured, mapped":     {world{configured: "::ffff:192.0.2.1"}, "m", "192.0.2.1"},
		"configured, but wrong":  {world{configured: "eth0", interfaces: all}, "m", ""},
		"the named interface's":  {world{named: "eth1", interfaces: all, resolves: []string{"203.0.113.1"}, routes: map[string]string{"203.0.113.1": "10.0.0.9"}}, "m", "192.0.2.9"},
		"of the route's family":  {world{named: "eth0", interfaces: all, resolves: []string{"2001:db8:1::1"}, routes: map[string]string{"2001:db8:1::1": "2001:db8::8"}}, "m", "2001:db8::7"},
		"of the manager's":       {world{named: "eth0", interfaces: all}, "2001:db8:1::1", "2001:db8::7"},
		"of IPv4 else":           {world{named: "eth0", interfaces: all}, "m", "172.17.5.9"},
		"of the other, if alone": {world{named: "eth1", interfaces: all}, "2001:db8:1::1", "192.0.2.9"},
		"a named bridge's":       {world{named: "docker0", interfaces: all}, "m", "172.17.0.1"},
		"a name of nothing":      {world{named: "eth7", interfaces: all, routes: map[string]string{"203.0.113.1": "10.0.0.9"}}, "203.0.113.1", "10.0.0.9"},
		"one that has none":      {world{named: "eth9", interfaces: all, routes: map[string]string{"203.0.113.1": "10.0.0.9"}}, "203.0.113.1", "10.0.0.9"},

		"the route's":               {world{interfaces: all, resolves: []string{"203.0.113.1"}, routes: map[string]string{"203.0.113.1": "10.0.0.9"}}, "m", "10.0.0.9"},
		"the route's, over IPv6":    {world{interfaces: all, routes: map[string]string{"2001:db8:1::1": "2001:db8::7"}}, "2001:db8:1::1", "2001:db8::7"},
		"in brackets":               {world{interfaces: all, routes: map[string]string{"2001:db8:1::1": "2001:db8::7"}}, "[2001:db8:1::1]", "2001:db8::7"},
		"the second route's":        {world{interfaces: all, resolves: []string{"2001:db8:1::1", "203.0.113.1"}, routes: map[string]string{"203.0.113.1": "10.0.0.9"}}, "m", "10.0.0.9"},
		"a manager on this host":    {world{interfaces: all, routes: map[string]string{"127.0.0.1": "127.0.0.1"}}, "127.0.0.1", "127.0.0.1"},
		"the same, over IPv6":       {world{interfaces: all, routes: map[string]string{"::1": "::1"}}, "::1", "::1"},
		"a manager in a container":  {world{interfaces: all, routes: map[string]string{"172.17.0.2": "172.17.0.1"}}, "172.17.0.2", "172.17.0.1"},
		"a route that is no answer": {world{interfaces: []networkInterface{eth1}, routes: map[string]string{"fe80::9%eth0": "fe80::3%eth0"}}, "fe80::9%eth0", "192.0.2.9"},

		"no route":                       {world{interfaces: all}, "m", "172.17.5.9"}, // although it looks like docker's
		"no route to an IPv6 manager":    {world{interfaces: all}, "2001:db8:1::1", "2001:db8::7"},
		"no manager":                     {world{interfaces: all}, "", "172.17.5.9"},
		"a VPN before a container's end": {world{interfaces: []networkInterface{lo, docker, veth, wg0}}, "m", "10.99.0.1"},
		"inside a container":             {world{interfaces: []networkInterface{lo, veth}}, "m", "10.88.0.1"},
		"only bridges and link-local":    {world{interfaces: []networkInterface{lo, docker, linkLocal}}, "m", ""},
		"nothing":                        {world{}, "m", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			facts, err := tt.describer().Describe(t.Context(), tt.manager)
			if tt.want == "" {
				if err == nil || !strings.Contains(err.Error(), "MUSTER_REPORT_IP") {
					t.Errorf("got %v, %v", facts, err)
				}
				return
			}
			if err != nil || facts.IPAddress != tt.want {
				t.Errorf("got %s, %v", facts.IPAddress, err)
			}
		})
	}
}

func TestUnlistedInterfacesDoNoHarmBesideARoute(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	d := world{routes: map[string]string{"203.0.113.1": "10.0.0.9"}}.describer()
	d.network.interfaces = func() ([]networkInterface, error) { return nil, errNothing }
	facts, err := d.Describe(t.Context(), "203.0.113.1")
	is.NoErr(err)
	is.Equal(facts.IPAddress, "10.0.0.9")
	_, err = d.Describe(t.Context(), "203.0.113.2")
	is.True(errors.Is(err, errNothing))
	is.True(strings.Contains(err.Error(), "MUSTER_REPORT_IP"))
}

// The kernel's own answers, as far as every machine has them.
func TestRealLoopback(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	source, err := routeTo(t.Context(), netip.MustParseAddr("127.0.0.1"))
	is.NoErr(err)
	is.Equal(source, netip.MustParseAddr("127.0.0.1"))
	interfaces, err := systemInterfaces("/")
	is.NoErr(err)
	for _, i := range interfaces {
		for _, a := range i.addresses {
			if a.IsLoopback() && i.kind != private || a.Zone() != "" || a.Is4In6() {
				t.Errorf("%+v", i)
			}
		}
	}
}

func TestFQDN(t *testing.T) {
	t.Parallel()
	const hosts = "# 192.0.2.1 web-3.commented.example\n" +
		"127.0.0.1 localhost localhost.localdomain web-3\n" + // not this host's full name
		"127.0.1.1\tWEB-3.Example.org. web-3 # web-3.commented.example\n" +
		"127.0.1.2 web-3.second.example web-3\n" +
		"127.0.1.3 web-4.example.org\n" + // of somebody else who is not called web-4 there
		"127.0.1.4 web-5x.example.org web-5 web-5.<bad>.org\n"
	for _, tt := range []struct{ hostname, canonical, want string }{
		{"web-3.example.com", "x.example.net.", "web-3.example.com"},
		{"web-3.example.com.", "", "web-3.example.com"},
		{"web-3", "web-3.dns.example.", "WEB-3.Example.org"},
		{"Web-3", "", "WEB-3.Example.org"},
		{"web-4", "web-4.dns.example.", "web-4.dns.example"},
		{"web-5", "web-5.dns.example", "web-5.dns.example"},
		{"web-6", "", "web-6"},
		{"web-6", "web-6.", "web-6"},
		{"web-6", "web 6.example.org.", "web-6"},
		{"web-6", strings.Repeat("x.", 127) + "x.", "web-6"},
		{"", "", "localhost.localdomain"},
	} {
		root := t.TempDir()
		is := is.New(t)
		is.NoErr(os.MkdirAll(filepath.Join(root, "etc"), 0o755))
		is.NoErr(os.WriteFile(filepath.Join(root, "etc/hosts"), []byte(hosts), 0o644))
		d := New(Options{Root: root, Address: "192.0.2.1"})
		d.network = isolated()
		d.network.canonical = func(_ context.Context, host string) (string, error) {
			is.Equal(host, tt.hostname)
			if tt.canonical == "" {
				return "", errNothing
			}
			return tt.canonical, nil
		}
		d.hostname = func() (string, error) {
			if tt.hostname == "" {
				return "", errNothing
			}
			return tt.hostname, nil
		}
		if tt.hostname == "" {
			d.network.canonical = isolated().canonical
		}
		facts, err := d.Describe(t.Context(), "m")
		is.NoErr(err)
		if facts.FQDN != tt.want {
			t.Errorf("%+v: got %q", tt, facts.FQDN)
		}
	}
}

func TestSlowNameServers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		d := world{interfaces: []networkInterface{{"eth0", hardware, addresses("192.0.2.9")}}}.describer()
		d.hostname = func() (string, error) { return "web-3", nil }
		d.network.resolve = func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		d.network.canonical = func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}
		start := time.Now()
		facts, err := d.Describe(t.Context(), "manager.example.org")
		is.NoErr(err)
		is.Equal(facts.IPAddress, "192.0.2.9")
		is.Equal(facts.FQDN, "web-3")
		is.Equal(time.Since(start), 5*time.Second)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		_, err = d.Describe(ctx, "manager.example.org")
		is.True(errors.Is(err, context.DeadlineExceeded))
		is.Equal(time.Since(start), time.Second)
	})
}
