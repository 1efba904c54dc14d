package ports

import "context"

// HostDescriber finds out what a manager is told about a host.
type HostDescriber interface {
	// Describe ends within 10 s. managerHost is the manager's host name or
	// address; the route to it decides which address is reported. Describe
	// fails with ctx's error when ctx is done, and otherwise only if there is
	// no address to report; the error then names what to configure.
	Describe(ctx context.Context, managerHost string) (HostFacts, error)
}

// HostFacts describe a host.
type HostFacts struct {
	Hostname  string
	FQDN      string // the hostname if there is no better
	IPAddress string // IPv4 or IPv6, without a zone
	OS        OSDetails
}

// OSDetails describe the operating system; all may be empty.
type OSDetails struct {
	Distro   string // pretty name, "Debian GNU/Linux"
	Name     string // id, "debian"
	Version  string // "12"
	Codename string // "bookworm"
	IDLike   string
	Kernel   string // "6.1.0-18-amd64"
}
