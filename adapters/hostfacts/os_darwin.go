package hostfacts

import (
	"golang.org/x/sys/unix"

	"github.com/muster-agent/muster/ports"
)

func osDetails(string) ports.OSDetails {
	details := ports.OSDetails{Distro: "macOS", Name: "macos"}
	// Either may be empty where the system does not say.
	details.Version, _ = unix.Sysctl("kern.osproductversion")
	details.Kernel, _ = unix.Sysctl("kern.osrelease")
	return details
}
