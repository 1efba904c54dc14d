package ports

import "context"

// HostDescriber finds out what a manager is told about a host.
type HostDescriber interface {
	// Describe ends within 10 s. managerHost is the manager's host name or
	// address, to which the route decides the address that is reported.
	// It fails with ctx's error when ctx is done, and else only if no address
	// can be reported at all; it then names what to configure.
	Describe(ctx context.Context, managerHost string) (HostFacts, error)
}

// HostFacts describe a host.
type HostFacts struct {
	Hostname  string
	FQDN      string // the hostname if there is no better
	IPAddress string // IPv4 or IPv6, without a zone
	OS        OSDetails
}
