package hostfacts

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// network holds the questions that are asked of the system.
type network struct {
	resolve    func(ctx context.Context, host string) ([]netip.Addr, error)
	canonical  func(ctx context.Context, host string) (string, error)
	route      func(ctx context.Context, to netip.Addr) (source netip.Addr, err error)
	interfaces func() ([]networkInterface, error)
}

func systemNetwork(root string) network {
	return network{
		resolve: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		},
		canonical:  net.DefaultResolver.LookupCNAME,
		route:      routeTo,
		interfaces: func() ([]networkInterface, error) { return systemInterfaces(root) },
	}
}

// managerAddresses are the manager's addresses, in the resolver's order; none
// if its name cannot be resolved in time.
func (n network) managerAddresses(ctx context.Context, host string) []netip.Addr {
	host = strings.Trim(host, "[]")
	if host == "" {
		return nil
	}
	if address, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{address.Unmap()}
	}
	limited, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	addresses, err := n.resolve(limited, host)
	if err != nil {
		return nil // there are other ways to an address
	}
	for i, address := range addresses {
		addresses[i] = address.Unmap()
	}
	return addresses
}

// sourceOf returns the source address of the first route to the manager whose
// source address is of use to others. A loopback address is of use to a manager
// on this host.
func (n network) sourceOf(ctx context.Context, manager []netip.Addr) netip.Addr {
	for _, to := range manager {
		source, err := n.route(ctx, to)
		source = source.Unmap().WithZone("")
		if err == nil && (source.IsGlobalUnicast() || source.IsLoopback()) {
			return source
		}
	}
	return netip.Addr{}
}

// routeTo asks the kernel for its route. Connecting a UDP socket sends no packet,
// and the port does not matter.
func routeTo(ctx context.Context, to netip.Addr) (netip.Addr, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", netip.AddrPortFrom(to, 443).String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	return local.Addr(), err
}

// family says which addresses are preferred.
type family int

const (
	ipv4 family = iota
	ipv6
)

func (f family) of(a netip.Addr) bool { return a.Is6() == (f == ipv6) }

// familyOf is the family of the route to the manager, else of the manager,
// else IPv4.
func familyOf(source netip.Addr, manager []netip.Addr) family {
	switch {
	case source.Is6():
		return ipv6
	case !source.IsValid() && len(manager) > 0 && manager[0].Is6():
		return ipv6
	}
	return ipv4
}

// networkInterface is an interface that is up, with its addresses.
type networkInterface struct {
	name      string
	kind      kind
	addresses []netip.Addr
}

// kind says how likely an interface's addresses are to be this host's own.
type kind int

const (
	// hardware: a network card, or an interface that is built on one: a bond, a
	// VLAN, a bridge that has a card as a port.
	hardware kind = iota
	// software: any other, such as a VPN's.
	software
	// guest: an end of a link to a container or a virtual machine, or out of
	// this one.
	guest
	// private: a bridge without a card, which only containers or virtual
	// machines use; and the loopback.
	private
)

// ofInterface is an address of the interface that has the name: the first of
// the family, else the first.
func ofInterface(interfaces []networkInterface, name string, f family) netip.Addr {
	for _, i := range interfaces {
		if i.name == name {
			return firstOf(i.addresses, f)
		}
	}
	return netip.Addr{}
}

// firstReachable is the first address of the best kind of interface.
func firstReachable(interfaces []networkInterface, f family) netip.Addr {
	for _, k := range []kind{hardware, software, guest} {
		var addresses []netip.Addr
		for _, i := range interfaces {
			if i.kind == k {
				addresses = append(addresses, i.addresses...)
			}
		}
		if address := firstOf(addresses, f); address.IsValid() {
			return address
		}
	}
	return netip.Addr{}
}

// firstOf is the first global unicast address of the family, else of either.
func firstOf(addresses []netip.Addr, f family) netip.Addr {
	if i := slices.IndexFunc(addresses, func(a netip.Addr) bool { return a.IsGlobalUnicast() && f.of(a) }); i >= 0 {
		return addresses[i]
	}
	if i := slices.IndexFunc(addresses, netip.Addr.IsGlobalUnicast); i >= 0 {
		return addresses[i]
	}
	return netip.Addr{}
}

func systemInterfaces(root string) ([]networkInterface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var interfaces []networkInterface
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		found := networkInterface{name: i.Name, kind: private}
		if i.Flags&net.FlagLoopback == 0 {
			found.kind = kindOf(root, i.Name)
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue // it has just gone
		}
		for _, a := range addresses {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				found.addresses = append(found.addresses, prefix.Addr().Unmap().WithZone(""))
			}
		}
		interfaces = append(interfaces, found)
	}
	return interfaces, nil
}
