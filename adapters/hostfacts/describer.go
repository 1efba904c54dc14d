// Package hostfacts finds out what a manager is told about this host: its
// names, the address by which others reach it, and its operating system.
//
// [Describer] asks the system; [Static] has the facts given.
package hostfacts

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/muster-agent/muster/ports"
)

// How long a question to a resolver may take. All else is local, so that both
// together stay well within the 10 s of ports.HostDescriber.
const (
	canonicalTimeout = 2 * time.Second // for this host's full name
	resolveTimeout   = 3 * time.Second // for the manager's addresses
)

// Options are what a Describer is made from. The zero value finds everything.
type Options struct {
	Address   string // MUSTER_REPORT_IP: reported as it is
	Interface string // MUSTER_REPORT_INTERFACE: whose address to report
	Root      string // where etc, proc and sys are; empty for /
}

// Describer implements ports.HostDescriber for this host.
type Describer struct {
	options  Options
	hostname func() (string, error)
	network  network
}

var _ ports.HostDescriber = (*Describer)(nil)

// New returns a describer.
func New(o Options) *Describer {
	if o.Root == "" {
		o.Root = "/"
	}
	return &Describer{o, os.Hostname, systemNetwork(o.Root)}
}

// Describe implements ports.HostDescriber.
func (d *Describer) Describe(ctx context.Context, managerHost string) (ports.HostFacts, error) {
	hostname, err := d.hostname()
	if err != nil || hostname == "" {
		hostname = "localhost" // as gethostname(2) says where none is set
	}
	address, err := d.address(ctx, managerHost)
	facts := ports.HostFacts{Hostname: hostname, FQDN: d.fqdn(ctx, hostname), OS: osDetails(d.options.Root)}
	if ctx.Err() != nil { // what was not found in time may be there all the same
		return ports.HostFacts{}, fmt.Errorf("describing this host: %w", ctx.Err())
	}
	if err != nil {
		return ports.HostFacts{}, err
	}
	facts.IPAddress = address.String()
	return facts, nil
}

// address is the address to report: the configured one, else the named
// interface's, else the source of the route to the manager, else the first
// that others could reach.
func (d *Describer) address(ctx context.Context, managerHost string) (netip.Addr, error) {
	if d.options.Address != "" {
		address, err := netip.ParseAddr(d.options.Address)
		if err != nil {
			return netip.Addr{}, fmt.Errorf("%q is no IP address: set MUSTER_REPORT_IP to this host's address", d.options.Address)
		}
		return address.Unmap().WithZone(""), nil
	}
	manager := d.network.managerAddresses(ctx, managerHost)
	source := d.network.sourceOf(ctx, manager)
	family := familyOf(source, manager)
	interfaces, err := d.network.interfaces()
	if err != nil && !source.IsValid() {
		return netip.Addr{}, fmt.Errorf("listing the network interfaces: %w: set MUSTER_REPORT_IP to this host's address", err)
	}
	if address := ofInterface(interfaces, d.options.Interface, family); address.IsValid() {
		return address, nil
	}
	if source.IsValid() {
		return source, nil
	}
	if address := firstReachable(interfaces, family); address.IsValid() {
		return address, nil
	}
	return netip.Addr{}, fmt.Errorf("this host has no address that could be reported, and no route to the manager %s: connect it, or set MUSTER_REPORT_IP", managerHost)
}
